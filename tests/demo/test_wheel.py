"""The wheel, installed in another folder, runs the demo. Needs the package index."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_wheel_installed_elsewhere_runs_the_demo(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "-q", "install", "--no-deps", str(wheel)], check=True
    )
    # Everything but journeyport itself comes from where the tests run.
    packages = next((environment / "lib").glob("python*/site-packages"))
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    small = ("--days", "2", "--engagements", "150")
    done = subprocess.run(
        [environment / "bin" / "journeyport", "demo", *small],
        env={"PATH": os.environ["PATH"], "JOURNEYPORT_HOME": str(folder / "home")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "account-days PROVED" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["home"]
