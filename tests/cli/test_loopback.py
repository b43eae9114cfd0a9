"""A rehearsal stays on this machine: by its settings and by its sockets."""

import subprocess
import sys

import pytest

from journeyport import environment, loopback
from journeyport.deployment import Deployment
from journeyport.errors import SettingsError


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_hosts_are_known(host):
    assert loopback.is_loopback(host)


@pytest.mark.parametrize("host", ["", "example.com", "10.0.0.1", "localhost.evil.com"])
def test_other_hosts_are_known(host):
    assert not loopback.is_loopback(host)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("SOURCE_URL", "https://region.api.example.com"),
        ("LAKE_URL", "s3://bucket/lake"),
        ("STATE_URL", "postgresql+psycopg://u@db.example.com/x"),
        ("WAREHOUSE_URL", "postgresql+psycopg://u@db.example.com/x"),
        ("SALESFORCE_BASE_URL", "https://acme.my.salesforce.com"),
    ],
)
def test_a_rehearsal_refuses_an_address_off_this_machine(name, url):
    environ = {
        "JOURNEYPORT_ENV_FILE": "-",
        "JOURNEYPORT_LOOPBACK_ONLY": "true",
        f"JOURNEYPORT_{name}": url,
    }
    site = Deployment(lambda: environment.read(environ))
    with pytest.raises(SettingsError, match=f"JOURNEYPORT_{name} leads off this mach"):
        _ = site.settings


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "socket.getaddrinfo('example.invalid', 80)",
        "__import__('httpx').get('http://192.0.2.1/', timeout=1)",
    ],
)
def test_a_guarded_process_opens_nothing_off_this_machine(attempt):
    code = (
        "import socket\nfrom journeyport import loopback\n"
        "loopback.refuse_others()\n"
        "s = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(s.getsockname()).close()\n"
        f"{attempt}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "was refused; nothing left this machine" in done.stderr
