"""The process that a run is in: noted on the run, and looked for by the daemon.

Dagster's launcher notices a run whose process died while the process above it lives.
After a power cut, or when a whole service was killed, nobody is left to notice: such a
run would count as running for ever and keep its pools, and every night would wait in
the queue behind it.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

PROCESS = "journeyport/process"
"""The run, the machine, its boot, the process and when it began, in one tag."""

_PROC = Path("/proc")
"""Linux's; elsewhere nothing is noted, and nothing looked for."""


def noted(run_id: str) -> dict[str, str]:
    """The tag that says that a run is in this process."""
    began = _began(os.getpid())
    if began is None:
        return {}
    said = (run_id, socket.gethostname(), _boot(), str(os.getpid()), began)
    return {PROCESS: " ".join(said)}


def is_gone(run: dg.DagsterRun) -> bool:
    """The process that a run is in, as far as it was noted, is there no more."""
    said = run.tags.get(PROCESS, "").split()
    # A run that repeats another begins with the other's tags.
    if len(said) != 5 or said[0] != run.run_id:
        return False
    _run_id, machine, boot, process, began = said
    if machine != socket.gethostname():
        # Runs of the daemon are where it is, and it has moved; one of a command may
        # be anywhere.
        return GRPC_INFO_TAG in run.tags
    return boot != _boot() or began != _began(int(process))


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _began(process: int) -> str | None:
    """When a process began, in ticks since the boot; None: there is none."""
    try:
        words = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, began = words[0], words[19]
    return None if state in "ZX" else began  # dead, and not fetched yet


class WatchingRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as Dagster does, and says whether the process of one is there."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """The daemon may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run that counts as running is there."""
        if is_gone(run):
            return CheckRunHealthResult(
                WorkerStatus.NOT_FOUND, "The process of this run was killed."
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)


class _Noting(InProcessExecutor):
    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        run_id = plan_context.dagster_run.run_id
        if tag := noted(run_id):
            plan_context.instance.add_run_tags(run_id, tag)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def in_process(context: dg.InitExecutorContext) -> InProcessExecutor:
    """Runs the steps in the run's own process, which is noted on the run.

    A process for each step would cost more than it brings.
    """
    del context
    return _Noting(retries=RetryMode.ENABLED)
