"""Does a run survive what a cluster does to it?

A real Slurm, for the length of this test: jobs are submitted with the scripts in slurm/, warned before the time limit,
requeued, cancelled, killed, and started by the wrong launcher. Whatever happened, the run must end with the files of one
that was never interrupted, bit by bit. Usage: jobs_test.py PROGRAM [test ...]
"""
import datetime
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from unittest import mock

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / folder) for folder in ("tools", "tests/run", "tests/slurm")]

import cluster as slurm  # noqa: E402
import status  # noqa: E402
import tiny_run  # noqa: E402
from tiny_run import LINEAR, ProgramTest, has_pending, rows_of, send_if_alive, status_of, variant  # noqa: E402

LIMIT_S = 240  # of a job of less than a second, on a busy machine
RUN = variant(LINEAR, training={"epochs": 400}, gop_tracking={"frequency": 20},
              computational_limits={"checkpoint_frequency": 50, "checkpoint_epochs": [10]})  # one before anything is killed


class JobTest(ProgramTest):
    """Submits jobs to a Slurm that lives as long as the class."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = slurm.Cluster()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        super().tearDownClass()

    def submit(self, *arguments, script="slurm/run.sbatch", options=(), cwd=REPOSITORY, **environment):
        """Submits from the repository root, as a user does; returns the number of the job."""
        launch = {key: value for key, value in tiny_run.launch_environment().items()
                  if key.startswith(("OMP_", "OMPI_", "OPENBLAS_"))}
        log = "%A_%a.out" if "array" in str(script) else "%j.out"
        return self.cluster.call("sbatch", "--parsable", f"--output={self.folder}/{log}", *options, script, *arguments,
                                 cwd=cwd,
                                 extra_environment={**launch, "GROKSCOPE": self.program, **environment}).stdout.strip()

    def log_of(self, job):
        path = self.folder / f"{job}.out"
        return path.read_text() if path.exists() else ""

    def end_of(self, job, state):
        """Waits for the end of a job, which must be this; returns (facts, log)."""
        facts = self.cluster.wait_for_end(job, LIMIT_S)
        log = self.log_of(job)
        self.assertEqual(facts["JobState"], state, f"{facts}\n{log[-3000:]}")
        return facts, log

    def ranks(self):
        """Process ids of the running ranks."""
        return [pid for pid in self.cluster.processes() if os.path.realpath(f"/proc/{pid}/exe") == self.program]

    def wait_for_progress(self, run, job):
        """Waits until a job's run is in its middle."""
        deadline = time.monotonic() + LIMIT_S
        before = rows_of(run)
        while rows_of(run) < before + 20:
            self.assertLess(time.monotonic(), deadline, f"no progress\n{self.log_of(job)[-3000:]}\n{self.cluster.logs()}")
            time.sleep(0.005)

    def freeze(self):
        """Stops the ranks in their middle, so that they cannot finish before a signal reaches them."""
        frozen = self.ranks()
        self.assertEqual(len(frozen), 2, "the job's two ranks")
        for pid in frozen:
            send_if_alive(pid, signal.SIGSTOP)
        return frozen

    def thaw(self, frozen, number):
        """Waits until the frozen ranks have been sent a signal, and lets them go on."""
        deadline = time.monotonic() + LIMIT_S
        while not all(has_pending(pid, number) for pid in frozen):
            self.assertLess(time.monotonic(), deadline, f"signal {number} never came to the ranks")
            time.sleep(0.01)
        for pid in frozen:
            send_if_alive(pid, signal.SIGCONT)

    def warn(self, run, job):
        """Warns a running job, as Slurm does before the time limit."""
        self.wait_for_progress(run, job)
        frozen = self.freeze()
        self.cluster.call("scancel", "--batch", "--signal=USR1", job)
        self.thaw(frozen, signal.SIGUSR1)

    def begin(self, name, *arguments, options=(), **environment):
        """Submits a run; returns (run directory, job)."""
        config = self.write_config(name, RUN)
        return config.with_suffix(""), self.submit(config, *arguments, options=options, **environment)

    def assert_complete(self, run):
        """The run is done and equal to one that was never interrupted (same number of ranks)."""
        self.assertEqual(status_of(run)["state"], "done")
        reference = self.folder / "reference"
        if not reference.exists():
            self.train("reference", RUN, ranks=2)
        self.assert_same_runs(reference, run)
        self.assertEqual((reference / "metrics.csv").read_text(), (run / "metrics.csv").read_text())


class ShortJobTest(JobTest):
    """The one job of the short set."""

    def test_a_warned_job_is_requeued_and_completes(self):
        run, job = self.begin("warned", "--fresh")
        self.warn(run, job)
        self.assertIn(job, self.cluster_jobs())
        facts, log = self.end_of(job, "COMPLETED")
        self.assertEqual(facts["Restarts"], "1")
        self.assertEqual(log.count("the run left with code 75"), 1, log)
        self.assertEqual(log.count("the run left with code 0"), 1, log)
        self.assertIn("resuming at", log)  # --fresh deletes once, not again after the requeue
        self.assert_complete(run)
        told = status.describe(run, self.cluster_jobs(), datetime.datetime.now())
        self.assertEqual((told["state"], told["job"], told["step"]), ("done", job, 400))

    def cluster_jobs(self):
        """The jobs that status.py sees."""
        with mock.patch.dict(os.environ, self.cluster.environment):
            return status.jobs_of_user()


class LaunchTest(JobTest):
    def test_mpirun(self):
        run, job = self.begin("mpirun", GROKSCOPE_LAUNCH="mpirun")
        self.warn(run, job)
        facts, log = self.end_of(job, "COMPLETED")
        self.assertEqual(facts["Restarts"], "1")
        self.assertIn("mpirun -n 2", log)
        self.assert_complete(run)

    def test_auto_takes_srun_where_slurm_has_pmix(self):
        kinds = self.cluster.call("srun", "--mpi=list")
        expected = "srun --mpi=pmix" if re.search(r"\bpmix\b", kinds.stdout + kinds.stderr) else "mpirun -n 2"
        run, job = self.begin("auto")
        _, log = self.end_of(job, "COMPLETED")
        self.assertIn(expected, log)
        self.assert_complete(run)

    def test_cores_for_each_task_reach_the_tasks(self):
        run, job = self.begin("cores", options=["--cpus-per-task=2"], GROKSCOPE_LAUNCH="srun")
        self.end_of(job, "COMPLETED")
        with tiny_run.h5py.File(run / "metrics.h5") as file:
            launch, = file["provenance"].values()
            self.assertIn("SLURM_CPUS_PER_TASK=2", str(launch.attrs["environment"]))
            self.assertEqual(launch.attrs["launcher"], b"srun")

    def test_from_another_folder(self):
        """An installation is told where it is by GROKSCOPE_HOME; paths are those of the folder of sbatch."""
        config = self.write_config("elsewhere", RUN)
        job = self.submit(config.name, "storage.output_dir=beside", script=REPOSITORY / "slurm/run.sbatch",
                          cwd=self.folder, GROKSCOPE_HOME=str(REPOSITORY))
        self.end_of(job, "COMPLETED")
        self.assert_complete(self.folder / "beside")

    def test_other_commands(self):
        run, job = self.begin("measured")
        self.end_of(job, "COMPLETED")
        _, log = self.end_of(self.submit("analyze", run, "--epochs", "10", "--name", "again"), "COMPLETED")
        self.assertIn(f"analyze {run} --epochs 10", log)
        self.assertEqual(status_of(run / "analysis/again")["state"], "done")
        self.end_of(self.submit("export", run, "--epoch", "400"), "COMPLETED")
        self.assertTrue((run / "export/epoch_400.h5").exists())
        facts, _ = self.end_of(self.submit("reproduce", "99"), "FAILED")
        self.assertEqual(facts["ExitCode"], "2:0", "the command's own code")

    def srun(self, *words):
        config = self.write_config("wrong", RUN)
        return self.cluster.call("srun", "-n2", *words, self.program, "run", config, check=False, timeout=LIMIT_S,
                                 extra_environment={"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})

    def test_srun_without_pmi_is_refused(self):
        result = self.srun("--mpi=none")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertEqual(result.stderr.count("srun --mpi=pmix"), 1, result.stderr)
        self.assertFalse((self.folder / "wrong").exists())

    def test_ranks_that_see_only_themselves_are_refused(self):
        """A launcher of another MPI: it says that there are two ranks, and Open MPI starts each of them alone."""
        hidden = [word for name in ("JOBID", "JOB_ID", "PROCID", "STEPID", "STEP_ID", "NODELIST") for word in ("-u", f"SLURM_{name}")]
        result = self.srun("--mpi=pmi2", "env", *hidden, "-u", "PMI_FD")
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("sees only itself", result.stderr)
        self.assertFalse((self.folder / "wrong").exists())

    def test_pmi2_never_means_two_runs(self):
        """Debian's Open MPI speaks PMIx alone: --mpi=pmi2 must fail, not start the same run twice."""
        result = self.srun("--mpi=pmi2")
        self.assertNotEqual(result.returncode, 0)
        self.assertFalse((self.folder / "wrong").exists())


class TimeLimitTest(JobTest):
    def test_slurm_s_own_warning(self):
        """Slurm looks at time limits every half minute: --signal=...@58 with a limit of a minute comes within 32 s."""
        run, job = self.begin("limit", options=["--time=1", "--signal=B:USR1@58"])
        self.wait_for_progress(run, job)
        self.thaw(self.freeze(), signal.SIGUSR1)
        facts, log = self.end_of(job, "COMPLETED")
        self.assertGreaterEqual(int(facts["Restarts"]), 1)
        self.assertIn("told to checkpoint", log)
        self.assert_complete(run)

    def test_the_number_of_requeues_is_bounded(self):
        run, job = self.begin("bounded", GROKSCOPE_MAX_REQUEUES="1")
        for _ in range(2):
            self.warn(run, job)
            self.wait_for_text(job, "the run left with code 75")
        facts, log = self.end_of(job, "FAILED")
        self.assertEqual((facts["Restarts"], facts["ExitCode"]), ("1", "75:0"))
        self.assertIn("submit it again to go on", log)
        self.assertEqual(status_of(run)["state"], "checkpointed")

    def wait_for_text(self, job, text):
        before = self.log_of(job).count(text)
        deadline = time.monotonic() + LIMIT_S
        while self.log_of(job).count(text) == before and self.cluster.job(job)["JobState"] == "RUNNING":
            self.assertLess(time.monotonic(), deadline, self.log_of(job)[-3000:])
            time.sleep(0.05)


class EndedTest(JobTest):
    """Jobs that end before their time, by somebody's will or by accident."""

    def check_cancelled(self, name, form):
        run, job = self.begin(name, GROKSCOPE_LAUNCH=form)
        self.wait_for_progress(run, job)
        self.cluster.call("scancel", job)
        self.end_of(job, "CANCELLED")
        self.wait_until_nothing_runs()
        status = status_of(run)
        self.assertEqual((status["state"], status["exit_code"]), ("checkpointed", 75), f"{status}\n{self.log_of(job)}")
        self.assertLess(status["step"], status["total_steps"])
        self.assertEqual(self.cluster.job(job)["Restarts"], "0")
        self.resubmit(run)

    def resubmit(self, run):
        facts, log = self.end_of(self.submit(run.with_suffix(".yaml")), "COMPLETED")
        self.assertIn("resuming at", log)
        self.assert_complete(run)

    def wait_until_nothing_runs(self):
        deadline = time.monotonic() + LIMIT_S
        while self.ranks():
            self.assertLess(time.monotonic(), deadline, "ranks that never end")
            time.sleep(0.05)

    def test_cancelled_under_srun(self):
        self.check_cancelled("cancelled_srun", "srun")

    def test_cancelled_under_mpirun(self):
        self.check_cancelled("cancelled_mpirun", "mpirun")

    def test_requeued_by_an_administrator(self):
        """What preemption does: every process is told to end, then the job waits for its turn again."""
        run, job = self.begin("preempted")
        self.wait_for_progress(run, job)
        self.cluster.call("scontrol", "requeue", job)
        facts, log = self.end_of(job, "COMPLETED")
        self.assertEqual(facts["Restarts"], "1")
        self.assertIn("resuming at", log)
        self.assert_complete(run)

    def check_killed(self, name, form):
        run, job = self.begin(name, GROKSCOPE_LAUNCH=form)
        self.wait_for_progress(run, job)
        os.kill(self.ranks()[-1], signal.SIGKILL)
        facts, log = self.end_of(job, "FAILED")
        self.assertNotIn(facts["ExitCode"], ("0:0", "75:0"), log)
        self.assertEqual(facts["Restarts"], "0")
        self.wait_until_nothing_runs()
        self.assertEqual(status_of(run)["state"], "running")  # nobody was left to say otherwise
        self.resubmit(run)

    def test_a_killed_task_under_srun(self):
        self.check_killed("killed_srun", "srun")

    def test_a_killed_task_under_mpirun(self):
        self.check_killed("killed_mpirun", "mpirun")

    def test_a_mistake_is_not_repeated(self):
        _, job = self.begin("mistaken", "training.learning_rate=1")
        facts, log = self.end_of(job, "FAILED")
        self.assertEqual((facts["ExitCode"], facts["Restarts"]), ("2:0", "0"))
        self.assertIn("training.learning_rate", log)


class ArrayTest(JobTest):
    def array(self, *arguments, tasks, **environment):
        job = self.submit(*arguments, script="slurm/array.sbatch", options=[f"--array={tasks}"], **environment)
        ids = self.cluster.call("squeue", "--noheader", "--array", f"--jobs={job}", "--format=%K").stdout.split()
        return job, sorted(map(int, ids))

    def test_task_k_runs_line_k(self):
        config = self.write_config("swept", RUN)
        lines = [f"{config} training.lr={lr} 'storage.output_dir={self.folder}/lr {lr}'" for lr in (0.01, 0.02)]
        run_list = self.folder / "runs.txt"
        run_list.write_text(f"# a comment\n{lines[0]}\n\n{lines[1]}\n")
        job, tasks = self.array(run_list, tasks="1-3%2")
        self.assertEqual(tasks, [1, 2, 3])
        for task in tasks:
            self.end_of_task(job, task)
        for lr in (0.01, 0.02):
            folder = self.folder / f"lr {lr}"
            self.assertEqual(status_of(folder)["state"], "done")
            self.assertEqual(json.loads((folder / "config.json").read_text())["training"]["lr"], lr)
        self.assertIn("nothing to do", self.log_of(f"{job}_3"))

    def end_of_task(self, job, task):
        facts = self.cluster.wait_for_end(f"{job}_{task}", LIMIT_S)
        self.assertEqual(facts["JobState"], "COMPLETED", self.log_of(f"{job}_{task}")[-3000:])
        return facts

    def test_only_the_warned_task_is_requeued(self):
        """The number of an array's last task is that of the whole array: requeueing it must not restart the others."""
        config = self.write_config("warned_array", RUN)
        first, last = (self.folder / f"warned_array_{k}" for k in (1, 2))
        run_list = self.folder / "warned_runs.txt"
        run_list.write_text("".join(f"{config} storage.output_dir={folder}\n" for folder in (first, last)))
        job, _ = self.array(run_list, tasks="1-2%1")
        self.end_of_task(job, 1)
        self.warn(last, f"{job}_2")
        self.assertEqual(self.end_of_task(job, 2)["Restarts"], "1")
        self.assertEqual(self.cluster.job(f"{job}_1")["Restarts"], "0")
        self.assertEqual(self.log_of(f"{job}_1").count("start 1"), 1)
        self.assert_complete(last)

    def test_a_list_longer_than_the_array_is_said(self):
        config = self.write_config("long_list", RUN)
        run_list = self.folder / "long_runs.txt"
        run_list.write_text(f"{config}\n" * 3)
        job, _ = self.array(run_list, tasks="1-1")
        self.end_of_task(job, 1)
        self.assertIn("--array=1-3%4", self.log_of(f"{job}_1"))


if __name__ == "__main__":
    if reason := slurm.why_not():
        sys.exit(f"jobs_test.py: no Slurm can be started: {reason}")
    tiny_run.main()
