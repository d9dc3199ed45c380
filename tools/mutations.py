"""Does each promise have a test that would notice if it were broken? Break them one by one and see: python -m tools.mutations

Each mutation is applied to a copy of the package, and its tests must fail there."""
import argparse, os, shutil, subprocess, sys, tempfile
from dataclasses import dataclass
from pathlib import Path

root = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutation:
    "A change that breaks a promise, and the tests that must notice."
    name: str  # What is broken
    module: str  # File in mltransfer
    old: str  # Text that stands there once
    new: str  # Text in its place
    tests: str  # Arguments of pytest


MUTATIONS = [
    Mutation("BestOf chooses by training error", "heads.py",
             "unseen = cross_val_predict(clone(model), X, y, cv=folds, params=given[name])",
             "unseen = clone(model).fit(X, y, **given[name]).predict(X)",
             "tests/test_transfer.py -k best_of_chooses"),
    Mutation("BestOf tears groups apart", "heads.py", "own = None if groups is None else codes", "own = None", "tests/test_transfer.py -k best_of_keeps_groups"),
    Mutation("FineTune: members learn their stopping fold", "finetune.py",
             "learn[member, own] = torch.nan", "pass", "tests/test_finetune.py -k noise"),
    Mutation("FineTune: members stop on the rows that they learn", "finetune.py",
             "stop[member, rows] = torch.nan", "stop[member, own] = torch.nan", "tests/test_finetune.py -k noise"),
    Mutation("FineTune ignores weights in the loss", "finetune.py", "self.schedule, own)", "self.schedule, None)", "tests/test_finetune.py -k weights_equal"),
    Mutation("TrainOn learns the stopping rows", "blend.py", "stop, rows = np.split(", "rows, stop = np.split(", "tests/test_blend.py -k most_rows"),
    Mutation("Blend.predict_direct returns the mixture", "blend.py", "return self._predict(X, 1)", "return self._predict(X, 0)", "tests/test_blend.py -k direct_prediction"),
    Mutation("intervals come from models that have seen the row", "uncertainty.py", "model = _fit(estimator, rows, train)",
             "model = _fit(estimator, rows, np.concatenate([train, test]))", "tests/test_uncertainty.py -k equals_mapie"),
    Mutation("Rescaled ignores weights", "transfer.py", "own = fit_params(line, sample_weight=weight)", "own = {}", "tests/test_transfer.py -k weighted_line"),
    Mutation("verdicts forget the rows that draws share", "verdicts.py", "(1 / J + n_train / n_test.mean())", "(1 / J)", "tests/test_verdicts.py -k crossed_interval"),
    Mutation("Shotgun.predict_direct returns the mixture", "search.py", "return self._in_blocks(self._direct, X)", "return self._in_blocks(self._models, X)",
             "tests/test_choices.py -k direct_prediction"),
    Mutation("Shotgun: weights have seen the fold that they are judged on", "preselection.py",
             "weights = mixing_weights(predictions[:, train], kinds, y[train], average=average, sample_weight=own)",
             "weights = mixing_weights(predictions[:, test], kinds, y[test], average=average)", "tests/test_choices.py -k weights_are_judged"),
    Mutation("Shotgun: weights have seen all rows", "preselection.py",
             "weights = mixing_weights(predictions[:, train], kinds, y[train], average=average, sample_weight=own)",
             "weights = mixing_weights(predictions, kinds, y, average=average)", "tests/test_choices.py -k weights_are_judged"),
    Mutation("pretrain scales X with held-out rows", "pretraining.py", "x_scaling = _scaling(table[train][:, useful])", "x_scaling = _scaling(table[:, useful])",
             "tests/test_pretraining.py -k scal"),
    Mutation("pretrain chooses columns with held-out rows", "pretraining.py", "useful = _useful(table[train])", "useful = _useful(table)",
             "tests/test_pretraining.py -k scaling_knows"),
    Mutation("pretrain scales labels with held-out rows", "pretraining.py", "_scaling(labels[train])", "_scaling(labels)", "tests/test_pretraining.py -k scaling_knows"),
    Mutation("a source of another version calls materials unseen", "source_file.py", 'or self.card.get("key_rules", 1) == KEY_RULES', "or True", "tests/test_versions.py -k cannot_tell"),
    Mutation("a source forgets stereoisomers", "source.py", 'f"{kind} {group_key(k, kind)}"', 'f"{kind} {k}"', "tests/test_pretraining.py -k isomers_are"),
    Mutation("kinds share hashes", "source.py", 'f"{kind} {group_key(k, kind)}"', "group_key(k, kind)", "tests/test_pretraining.py -k kinds_never"),
    Mutation("Shotgun: sources are chosen by all rows", "search.py", "self._screen.order(k)[:10]", "self._screen.order(-1)[:10]", "tests/test_choices.py -k sources_are_chosen"),
    Mutation("Shotgun: the logarithm is always learnt", "preselection.py", "return bool(spread(np.log(y)) + np.log(y).mean() < spread(y) + DOUBT)", "return True",
             "tests/test_choices.py -k logarithm"),
]


def copy(into: Path, package: Path) -> None:
    "What the tests of a mutation need."
    shutil.copytree(package / "mltransfer", into / "mltransfer", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "tools", "nbs"): (into / name).symlink_to(package / name)
    for name in ("pytest.ini", "settings.ini"): shutil.copy(package / name, into)


def end(tests: str, folder: Path) -> int:
    "Run tests on the package in a folder: 0 if they pass, 1 if one fails."
    env = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "first"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *split(tests)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True).returncode


def tried(mutation: Mutation, package: Path, sound: dict[str, int]) -> str:
    "\"caught\", \"SURVIVED\", or why the table is out of date."
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy(folder, package)
        file = folder / "mltransfer" / mutation.module
        text = file.read_text(encoding="utf-8")
        if (n := text.count(mutation.old)) != 1: return f"OUT OF DATE: {mutation.module} holds {mutation.old!r} {n} times"
        if mutation.tests not in sound: sound[mutation.tests] = end(mutation.tests, folder)
        if code := sound[mutation.tests]: return f"OUT OF DATE: without it, pytest {mutation.tests} ends with {code}"
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        code = end(mutation.tests, folder)
    return {0: "SURVIVED", 1: "caught"}.get(code, f"OUT OF DATE: pytest {mutation.tests} ends with {code}")


def split(tests: str) -> list[str]:
    "Words of a command; what follows -k is one."
    before, k, words = tests.partition(" -k ")
    return [*before.split(), *(["-k", words] if k else [])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutations whose name holds this")
    parser.add_argument("--package", type=Path, default=root, help="checkout to break, this one if not given")
    args = parser.parse_args()
    found, sound = {}, {}
    for m in MUTATIONS:
        if args.only not in m.name: continue
        found[m.name] = tried(m, args.package.resolve(), sound)
        print(f"{m.name}: {found[m.name]}", flush=True)
    sys.exit(any(v != "caught" for v in found.values()))
