"""Is every mistake of a user, and every failure of the surroundings, named once, with the right exit code, and in time?

Each mistake is made on one rank and on two: a hang, or a message from every rank, shows only there.
"""
import os
import re
import subprocess

import h5py

import tiny_run
from tiny_run import (EMBEDDINGS, IMAGES, LINEAR, POLYNOMIALS, SLINGSHOT, TRANSFORMER, ProgramTest, contents, status_of, variant,
                      write_images)

USER, ENVIRONMENT = 2, 3


class Refusal(ProgramTest):
    """Asserts that a launch ends with a code and one message."""

    def assert_refused(self, arguments, code, *texts, ranks=(1, 2), side_by_side=False, **launch):
        """`side_by_side`: the launches may run at the same time, since none of them gets as far as the run directory."""
        def start(count):
            return self.start(*arguments, "--verbosity", "quiet", ranks=count, **launch)

        processes = {count: start(count) for count in ranks} if side_by_side else {}
        for count in ranks:
            with self.subTest(arguments=[str(a) for a in arguments][-2:], ranks=count):
                finished = self.wait(processes.get(count) or start(count))
                self.assertEqual(finished.code, code, finished.err[-3000:])
                for text in texts:
                    self.assertIn(text, finished.err)
                self.assertEqual(finished.err.count("grokscope: "), 1, finished.err)
                self.assertNotIn("terminate called", finished.err)

    def assert_config_refused(self, name, content, *texts, code=USER, values=(), keys=(), side_by_side=True):
        """`values` and `keys` are keys at whose value, or at which themselves, the message must point."""
        config = self.write_config(name, content)
        places = [place(config, key, True) for key in values] + [place(config, key, False) for key in keys]
        self.assert_refused(["run", config], code, *texts, *places, side_by_side=side_by_side and code == USER)
        self.assertFalse((self.folder / name / "metrics.h5").exists(), "a refused run has written results")


def place(config, key, at_value):
    """file:line:col of a key, or of its value, in a configuration that write_config wrote."""
    for number, line in enumerate(config.read_text().splitlines(), 1):
        found = re.match(rf' *"{key}": ', line)
        if found:
            return f"{config}:{number}:{(found.end() if at_value else line.index(chr(34))) + 1}: "
    raise AssertionError(f"{config} has no {key}")


class DocumentTest(Refusal):
    def write(self, name, text):
        path = self.folder / name
        path.write_bytes(text)
        return path

    def test_missing_file(self):
        self.assert_refused(["run", self.folder / "nowhere.yaml"], USER, "nowhere.yaml", side_by_side=True)

    def test_empty_file(self):
        self.assert_refused(["run", self.write("empty.yaml", b"")], USER, "empty.yaml", side_by_side=True)

    def test_binary_file(self):
        path = self.write("binary.yaml", bytes(range(256)) * 20)
        self.assert_refused(["run", path], USER, "binary.yaml", side_by_side=True)

    def test_cyclic_file(self):
        path = self.write("cyclic.yaml", b"experiment: &a {name: 09_levi_linear, description: *a}\n")
        self.assert_refused(["run", path], USER, "cyclic.yaml", side_by_side=True)

    def test_broken_syntax_names_its_place(self):
        path = self.write("broken.yaml", b"experiment: {name: 09_levi_linear\ntraining: {epochs: [1}\n")
        self.assert_refused(["run", path], USER, "broken.yaml:2", side_by_side=True)

    def test_folder_in_place_of_a_file(self):
        self.assert_refused(["run", self.folder], USER, str(self.folder), side_by_side=True)

    def test_a_key_given_twice(self):
        path = self.write("twice.yaml", b"experiment: {name: 09_levi_linear}\ntraining: {epochs: 1, epochs: 2}\n")
        self.assert_refused(["run", path], USER, "epochs", side_by_side=True)


class KeyTest(Refusal):
    def test_unknown_experiment_with_the_nearest(self):
        self.assert_config_refused("experiment", {"experiment": {"name": "09_levi_liner"}}, "09_levi_linear", "list",
                                   values=["name"])

    def test_missing_experiment(self):
        self.assert_config_refused("nameless", {"training": {"epochs": 1}}, "experiment.name")

    def test_unknown_key_with_the_nearest(self):
        content = variant(LINEAR, training={"epocs": 7}, gop_tracking={"frequncy": 2})
        self.assert_config_refused("unknown", content, "epocs", "epochs", "frequncy", "frequency", keys=["epocs", "frequncy"])

    def test_unknown_section_with_the_nearest(self):
        self.assert_config_refused("section", variant(LINEAR, trainin={"epochs": 2}), "trainin", "training",
                                   keys=["trainin"])

    def test_all_problems_at_once(self):
        content = variant(LINEAR, training={"epochs": "many", "lr": -1}, data={"d_in": 0}, storage={"compression": "zip"})
        self.assert_config_refused("several", content, "many", "training.lr", "data.d_in", "gzip",
                                   values=["epochs", "lr", "d_in", "compression"])

    def test_wrong_types(self):
        self.assert_config_refused("types", variant(LINEAR, training={"epochs": 1.5, "betas": [0.9], "seed": [1, 2]}),
                                   "training.epochs", "training.betas", "training.seed",
                                   values=["epochs", "betas", "seed"])

    def test_unknown_override(self):
        config = self.write_config("override", LINEAR)
        self.assert_refused(["run", config, "training.lrr=0.1"], USER, "lrr", "lr")
        self.assert_refused(["run", config, "training.lr"], USER, "training.lr")
        self.assert_refused(["run", config, "training.lr=fast"], USER, "override 'training.lr=fast'")

    def test_values_out_of_range(self):
        fraction = "data.train_fraction"
        for name, content, key in (
            ("fraction_0", variant(POLYNOMIALS, data={"train_fraction": 0}), fraction),
            ("fraction_2", variant(POLYNOMIALS, data={"train_fraction": 2}), fraction),
            ("epochs", variant(LINEAR, training={"epochs": -1}), "training.epochs"),
            ("top_k", variant(LINEAR, gop_tracking={"top_k_eigen": 0}), "gop_tracking.top_k_eigen"),
            ("frequency", variant(LINEAR, gop_tracking={"frequency": 0}), "gop_tracking.frequency"),
            ("nan", variant(LINEAR, training={"lr": float("nan")}), "training.lr"),
        ):
            self.assert_config_refused(name, content, key, values=[key.rpartition(".")[2]])

    def test_a_modulus_that_has_no_primitive_root(self):
        content = variant(POLYNOMIALS, data={"p": 98, "operation": "multiply"})
        self.assert_config_refused("composite", content, "98 is not a prime", "97", values=["p"])
        content = variant(TRANSFORMER, data={"p": 9, "operation": "divide"})
        self.assert_config_refused("composite_divisor", content, "9 is not a prime", values=["p"])

    def test_a_split_without_examples(self):
        def of(name, **data):
            return {"experiment": {"name": name}, "data": data, "training": {"epochs": 1}}

        division = variant(SLINGSHOT, data={"source": "division", "p": 7, "train_fraction": 0.02})
        for name, content, text in (
            ("no_test", of("01_power_grok", operation="add", train_fraction=0.99996),
             "0.99996 of 9409 rows leaves none to test (a split would be empty), use a smaller share"),
            ("no_group_test", of("01_power_grok", operation="s5_product", train_fraction=0.99999), "of 14400 rows leaves none to test"),
            ("no_pair", variant(TRANSFORMER, data={"train_fraction": 0.03}), "0.03 of 25 rows leaves none to train on"),
            ("no_division", division, "0.02 of 42 rows leaves none to train on"),
            ("no_tuple", variant(POLYNOMIALS, data={"p": 3, "terms": 3, "train_fraction": 0.03}), "of 27 rows leaves none to train on"),
            ("no_unordered_pair", of("10_minegishi_tickets", p=7, train_fraction=0.03), "of 28 rows leaves none to train on"),
        ):
            self.assert_config_refused(name, content, "data.train_fraction: ", text, values=["train_fraction"])

    def test_a_table_that_no_memory_holds(self):
        for name in ("01_power_grok", "03_nanda_progress", "08_doshi_polynomials", "10_minegishi_tickets"):
            content = {"experiment": {"name": name}, "data": {"p": 4481, "operation": "add"}, "training": {"epochs": 1}}
            self.assert_config_refused(f"large_{name}", content, "data.p: 4481^2 tuples", "use at most 4472", values=["p"])

    def test_a_division_modulo_an_even_number(self):
        for name, data in (("01_power_grok", {"operation": "divide"}), ("07_thilak_slingshot", {"source": "division"}),
                           ("08_doshi_polynomials", {"operation": "divide"}), ("10_minegishi_tickets", {"operation": "divide"})):
            content = {"experiment": {"name": name}, "data": {"p": 98} | data, "training": {"steps": 1}}
            self.assert_config_refused(f"even_{name}", content, "98 is not a prime (division needs inverses)", values=["p"])

    def test_what_would_never_do_anything(self):
        self.assert_config_refused("untracked", variant(LINEAR, gop_tracking={"split": "test"}), "there are no test examples",
                                   side_by_side=False)
        self.assert_config_refused("unstopped", variant(LINEAR, training={"stop_when": {"metric": "test_acc"}}),
                                   "training.stop_when: neither above nor below is given", values=["stop_when"])
        claim = {"quantity": "train_loss", "is": "never", "take": "max"}
        self.assert_config_refused("taken", dict(LINEAR, expected=[claim]), "never looks at all of them")

    def test_values_that_a_paper_cannot_have(self):
        """All mistakes in one configuration at once, each at its place."""
        composition = {"experiment": {"name": "04_wang_implicit"}, "model": {"vocabulary": 5, "position_rows": 2},
                       "data": {"entities": 50, "relations": 20, "out_degree": 30}, "training": {"steps": 1}}
        facts = {"experiment": {"name": "04_wang_implicit"}, "data": {"entities": 50, "relations": 20, "phi": 30},
                 "training": {"steps": 1}}
        for name, content, keys, texts in (
            ("even", variant(TRANSFORMER, data={"p": 98, "operation": "divide"}), ["p"], ["98 is not a prime (division needs inverses)"]),
            ("pruned", variant(LINEAR, training={"init_from": {"run": "elsewhere", "mask": {"keep": 0}}}), ["keep"],
             ["training.init_from.mask.keep"]),
            ("pairs", variant(EMBEDDINGS, data={"n_train": 15, "split": "fixed_a"}), ["n_train", "split"],
             ["15 of 15 pairs leave none to test", "fixed_a is a split of p = 10"]),
            ("frequencies", variant(TRANSFORMER, observables={"key_frequencies": [1, 3]}), ["key_frequencies"],
             ["3 is no frequency modulo 5 (they are 1 to 2)"]),
            ("words", composition, ["out_degree", "vocabulary", "position_rows"],
             ["30 is more than data.relations = 20", "model.vocabulary: 5 is below 71", "model.position_rows: 2 is below 4"]),
            ("facts", facts, ["phi"], ["data.phi: 30 asks for", "are not held out), use at most 1"]),
            ("radii", {"experiment": {"name": "06_humayun_deep"}, "observables": {"robustness": {"strong_radii": [0.2, 0.1]}},
                       "training": {"steps": 1}}, ["strong_radii"], ["the radii do not increase"]),
            ("layers", variant(LINEAR, data={"n_test": 0}, model={"hidden": 3}), ["n_test"],
             ["data.n_test: no test examples (the exact expectation is known for one matrix only)"]),
            ("claim", dict(LINEAR, expected=[{"quantity": "trainig/test_acc", "is": "below", "value": 1}]), ["quantity"],
             ["expected[0].quantity: 'trainig/test_acc' is in no metrics.h5, did you mean training/test_acc?"]),
        ):
            self.assert_config_refused(name, content, *texts, values=keys)

    def test_both_steps_and_epochs(self):
        self.assert_config_refused("both", variant(LINEAR, training={"steps": 3}), "training.steps", values=["steps"])

    def test_a_run_above_the_size_limit(self):
        content = variant(LINEAR, storage={"store_full_gop": True}, computational_limits={"max_gop_size_gb": 1e-9})
        self.assert_config_refused("large", content, "max_gop_size_gb", side_by_side=False)


class DirectoryTest(Refusal):
    def test_below_a_regular_file(self):
        (self.folder / "file").write_text("a file")
        config = self.write_config("below", variant(LINEAR, storage={"output_dir": str(self.folder / "file" / "run")}))
        self.assert_refused(["run", config], ENVIRONMENT, str(self.folder / "file"))

    def test_where_nobody_can_write(self):
        config = self.write_config("proc", variant(LINEAR, storage={"output_dir": "/proc/grokscope/run"}))
        self.assert_refused(["run", config], ENVIRONMENT, "/proc/grokscope")

    def test_foreign_files_are_left_alone(self):
        target = self.folder / "thesis"
        target.mkdir()
        (target / "thesis.tex").write_text("precious")
        config = self.write_config("foreign", variant(LINEAR, storage={"output_dir": str(target)}))
        self.assert_refused(["run", config], USER, "thesis.tex")
        self.assert_refused(["run", config, "--fresh"], USER, "thesis.tex", ranks=(1,))
        self.assertEqual([path.name for path in target.iterdir()], ["thesis.tex"])

    def test_the_directory_of_another_configuration(self):
        run = self.train("other", LINEAR)
        before = {view: contents(run / view) for view in tiny_run.VIEWS}
        config = self.folder / "other.yaml"
        self.assert_refused(["run", config, "training.lr=0.02"], USER, "training.lr", "0.02", "--fresh")
        self.assertEqual(before, {view: contents(run / view) for view in tiny_run.VIEWS})
        self.assertEqual(status_of(run)["state"], "done")

    def test_a_folder_without_permission(self):
        if os.geteuid() == 0:
            self.skipTest("root may write anywhere")
        folder = self.folder / "read_only"
        folder.mkdir()
        folder.chmod(0o555)
        config = self.write_config("permission", variant(LINEAR, storage={"output_dir": str(folder / "run")}))
        self.assert_refused(["run", config], ENVIRONMENT, "Permission denied", "read_only")

    def mount_small_disk(self, name):
        """A disk of 8 MB. Returns its folder, and the function that makes it larger."""
        disk = self.folder / name
        disk.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], capture_output=True, text=True)
        if mount.returncode != 0:
            self.skipTest(f"a small disk cannot be mounted: {mount.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        return disk, lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)

    def check_full_disk(self, disk, content, make_room, shape):
        """A run that does not fit says so on one rank and on two, and goes on when there is room."""
        run = disk / "run"
        config = self.write_config(disk.name + "_run", variant(content, storage={"output_dir": str(run)}))
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                self.assert_disk_refused(config, run, ranks)
        make_room()
        again = self.call("run", config, "--verbosity", "quiet")
        self.assertEqual(again.code, 0, again.err)
        with h5py.File(run / "gop_full.h5", "r") as file:
            self.assertEqual(file["epoch_0/gop"].shape, shape)

    def assert_disk_refused(self, config, run, ranks, **launch):
        self.assert_refused(["run", config], ENVIRONMENT, "space", ranks=(ranks,), **launch)
        self.assertEqual(status_of(run)["state"], "failed")
        self.assertEqual([path for path in run.rglob("*.tmp")], [])
        self.assert_published_files_are_whole(run)

    def test_a_full_disk(self):
        """The dense matrix has 9.7 MB, everything else less than one."""
        disk, resize = self.mount_small_disk("disk")
        content = variant(LINEAR, data={"d_in": 1100, "n_train": 20}, training={"epochs": 2}, storage={"store_full_gop": True})
        self.check_full_disk(disk, content, lambda: resize("64m"), (1100, 1100))

    def test_a_disk_too_small_for_the_file_of_one_matrix(self):
        """67 MB: written in parallel."""
        disk, resize = self.mount_small_disk("large_disk")
        content = variant(LINEAR, data={"d_in": 2900, "n_train": 20}, training={"epochs": 0}, storage={"store_full_gop": True})
        self.check_full_disk(disk, content, lambda: resize("128m"), (2900, 2900))

    def test_a_limit_on_the_size_of_files(self):
        """`ulimit -f 6000`: for the first matrix (6.5 MB), for one after a commit, for data.h5 (7.2 MB)."""
        matrix = variant(LINEAR, data={"d_in": 900, "n_train": 20}, training={"epochs": 20}, storage={"store_full_gop": True})
        later = variant(matrix, storage={"store_full_gop": True, "gop_schedule": {"kind": "list", "at": [15]}})
        data = variant(LINEAR, data={"d_in": 300, "n_train": 3000})
        for name, content, committed in (("matrix", matrix, False), ("later", later, True), ("data", data, False)):
            for ranks in (1, 2):
                run = self.folder / f"limit_{name}_{ranks}"
                config = self.write_config(run.name, content)
                self.assert_disk_refused(config, run, ranks, shell_limit="ulimit -f 6000")
                self.assertEqual((run / "checkpoints" / "epoch_10.h5").exists(), committed)

    def test_a_limit_below_what_mpi_needs(self):
        config = self.write_config("tiny_limit", LINEAR)
        self.assert_refused(["run", config], ENVIRONMENT, "ulimit -f", shell_limit="ulimit -f 100")
        self.assertFalse((self.folder / "tiny_limit").exists(), "it has begun to write")

    def assert_published_files_are_whole(self, run):
        for path in run.rglob("*.h5"):
            with h5py.File(path, "r") as file:
                for name in file:
                    self.assertIsNotNone(file[name])

    def test_a_second_job_in_the_same_directory(self):
        config = self.write_config("busy", variant(LINEAR, training={"epochs": 100000}, gop_tracking={"frequency": 10000}))
        first = self.start("run", config, "--verbosity", "quiet")
        try:
            tiny_run.wait_for_rows(self.folder / "busy", 1, first)
            self.assert_refused(["run", config], USER, "in use")
        finally:
            first.terminate()
            self.assertEqual(self.wait(first).code, 75)


class DataTest(Refusal):
    def test_missing_images_name_the_tool_that_fetches_them(self):
        self.assert_config_refused("missing", variant(IMAGES, data={"dir": str(self.folder / "nowhere")}),
                                   "tools/fetch_data.py", code=ENVIRONMENT)

    def test_missing_cifar(self):
        content = {"experiment": {"name": "07_thilak_slingshot"}, "training": {"steps": 1},
                   "data": {"source": "cifar10", "dir": str(self.folder / "nowhere")}}
        self.assert_config_refused("cifar", content, "file not found", "tools/fetch_data.py cifar10", code=ENVIRONMENT)

    def test_fewer_images_than_asked_for(self):
        folder = write_images(self.folder / "few")
        for name, content in (("few_05", variant(IMAGES, data={"dir": str(folder), "n_test": 61})),
                              ("few_06", {"experiment": {"name": "06_humayun_deep"}, "training": {"steps": 1},
                                          "data": {"dir": str(folder), "n_test": 61}}),
                              ("few_07", {"experiment": {"name": "07_thilak_slingshot"}, "training": {"steps": 1},
                                          "data": {"source": "mnist", "dir": str(folder), "n_train": 60, "n_test": 61}})):
            self.assert_config_refused(name, content, "60 images, 61 are asked for", "tools/fetch_data.py mnist", code=ENVIRONMENT)

    def test_truncated_images(self):
        folder = write_images(self.folder / "short")
        images = folder / "train-images-idx3-ubyte"
        images.write_bytes(images.read_bytes()[:1000])
        self.assert_config_refused("truncated", variant(IMAGES, data={"dir": str(folder)}), "train-images-idx3-ubyte",
                                   "tools/fetch_data.py", code=ENVIRONMENT)

    def test_images_that_are_none(self):
        folder = write_images(self.folder / "text")
        (folder / "t10k-labels-idx1-ubyte").write_text("these are no labels")
        self.assert_config_refused("labels", variant(IMAGES, data={"dir": str(folder)}), "t10k-labels-idx1-ubyte",
                                   "tools/fetch_data.py", code=ENVIRONMENT)


class DivergenceTest(Refusal):
    def test_a_loss_that_is_no_number(self):
        content = variant(LINEAR, training={"lr": 1e30}, computational_limits={"checkpoint_frequency": 1})
        for ranks in (1, 2):
            name = f"diverging_{ranks}"
            config = self.write_config(name, content)
            self.assert_refused(["run", config], USER, "diverged", "training.lr", ranks=(ranks,))
            status = status_of(self.folder / name)
            self.assertEqual((status["state"], status["exit_code"]), ("failed", USER))
            self.assertIn("diverged", status["reason"])
            self.assert_refused(["run", config], USER, "diverged", ranks=(ranks,))  # and again, not "complete"


class LauncherTest(Refusal):
    def test_a_rank_that_sees_only_itself(self):
        config = self.write_config("alone", LINEAR)
        for variables in ({"OMPI_COMM_WORLD_SIZE": "4"}, {"PMI_SIZE": "4"},
                          {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"}):
            with self.subTest(variables):
                self.assert_refused(["run", config], ENVIRONMENT, "4 task", ranks=(1,), extra_environment=variables)
                self.assertFalse((self.folder / "alone").exists(), "it has begun to write")

    def test_usage(self):
        for arguments in ((), ("run",), ("fly",), ("run", "a.yaml", "--max-time"), ("check", "a.yaml", "--ranks", "0")):
            with self.subTest(arguments):
                finished = self.call(*arguments)
                self.assertEqual(finished.code, USER, finished)
                self.assertTrue(finished.err.strip())
        self.assert_refused(["run", self.write_config("duration", LINEAR), "--max-time", "soon"], USER, "soon")


if __name__ == "__main__":
    tiny_run.main()
