"""How does a test get a Slurm of its own?

Cluster() starts munged, slurmctld and slurmd for one node on loopback: configuration, keys, state and spool in a
temporary folder, ports of its own. stop() ends them by their process ids, with all that they started, and removes the
folder. It knows nothing of grokscope. Needs Debian's slurm-wlm and munge, and any user that has a name.
"""
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL"}

SLURM_CONF = """
ClusterName=grokscope
SlurmctldHost={host}({address})
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A requeued job waits until its credential has expired: two minutes by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=200000,bf_interval=1
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
ReturnToService=2
SlurmctldTimeout=60
SlurmdTimeout=300
KillWait=30
MinJobAge=3600
SlurmdParameters=config_overrides
NodeName={host} NodeAddr={address} CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

MPI_CONF = """
PMIxCliTmpDirBase={folder}/pmix
"""


def why_not():
    """The reason why no Slurm can be started here, with what to do; "" when it can."""
    paths = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = [name for name in PROGRAMS if shutil.which(name, path=paths) is None]
    if missing:
        return (f"{', '.join(missing)} not found (a Slurm of its own runs these tests), "
                "apt-get install slurm-wlm munge, or leave them out: ctest -LE slurm")
    try:
        user_name()
    except KeyError:
        return (f"user {os.geteuid()} has no name here (Slurm's configuration names its user), add one to /etc/passwd, "
                "or leave them out: ctest -LE slurm")
    return ""


def user_name():
    return pwd.getpwuid(os.geteuid()).pw_name


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Cluster:
    """A running one-node Slurm. `environment` is what its commands and their children need."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="gs-slurm-", dir="/tmp"))  # munged's socket wants a short path
        self.folder.chmod(0o755)
        self.daemons = []
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith(("SLURM", "SBATCH", "SRUN", "PMI", "OMPI"))}
        self.environment["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
        self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")
        try:
            self.start_()
        except BaseException:
            self.stop()
            raise

    def start_(self):
        host = socket.gethostname().split(".")[0]
        controller_port, node_port = free_ports(2)
        for name in ("state", "spool", "pmix"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        words = {"host": host, "address": "127.0.0.1", "folder": self.folder, "user": user_name(),
                 "controller_port": controller_port, "node_port": node_port}
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**words))
        (self.folder / "mpi.conf").write_text(MPI_CONF.format(**words))
        munge = [f"--{name}={self.folder}/munge.{end}" for name, end in
                 (("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed"))]
        self.daemon_("munged", "--foreground", "--force", "--num-threads=2", *munge)
        self.wait_until_(lambda: (self.folder / "munge.socket").exists(), "munged opens its socket")
        self.daemon_("slurmctld", "-D", "-c")
        self.daemon_("slurmd", "-D")
        self.wait_until_(lambda: "idle" in self.call("sinfo", "-h", "-o", "%T", check=False).stdout, "the node is idle")

    def daemon_(self, *command):
        log = open(self.folder / f"{command[0]}.out", "w", encoding="utf-8")
        with log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log, start_new_session=True))

    def wait_until_(self, condition, what, limit_s=60):
        deadline = time.monotonic() + limit_s
        while not condition():
            ended = [daemon for daemon in self.daemons if daemon.poll() is not None]
            if ended or time.monotonic() > deadline:
                reason = f"{ended[0].args[0]} ended" if ended else f"not within {limit_s} s"
                raise RuntimeError(f"Slurm did not start: {what}: {reason}\n{self.logs()}")
            time.sleep(0.1)

    def logs(self):
        """The last lines that the daemons wrote."""
        names = ("munged.out", "munge.log", "slurmctld.out", "slurmctld.log", "slurmd.out", "slurmd.log")
        texts = [(name, self.folder / name) for name in names if (self.folder / name).exists()]
        return "\n".join(f"{name}: " + "\n".join(path.read_text().splitlines()[-15:]) for name, path in texts)

    def stop(self):
        """Cancels all jobs, ends what runs, and removes the folder."""
        if len(self.daemons) == 3:
            self.call("scancel", "--me", "--signal=KILL", "--full", check=False)
            self.call("scancel", "--me", check=False)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self):
        """Process ids of everything that was started within this Slurm: their environment names its slurm.conf."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return [pid for pid in found if pid != os.getpid()]

    def call(self, *command, check=True, cwd=None, extra_environment=None, timeout=120):
        """Runs a command of Slurm to its end."""
        result = subprocess.run([str(word) for word in command], env={**self.environment, **(extra_environment or {})},
                                cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                                timeout=timeout)
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: code {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def job(self, job):
        """What Slurm knows of a job: {"JobState": "RUNNING", "Restarts": "0", ...}."""
        text = self.call("scontrol", "--oneliner", "show", "job", job).stdout
        return dict(re.findall(r"(\S+?)=(\S*)", text))

    def wait_for_end(self, job, limit_s):
        """Waits until the job has ended for good, however often it is requeued; returns what Slurm knows of it."""
        deadline = time.monotonic() + limit_s
        while True:
            facts = self.job(job)
            if facts["JobState"] in ENDED:
                return facts
            if time.monotonic() > deadline:
                raise AssertionError(f"job {job} is {facts['JobState']} after {limit_s} s: {facts}\n{self.logs()}")
            time.sleep(0.2)
