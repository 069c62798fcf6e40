"""Declared, but missing: a stage, a step or a manifest that points to nothing."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from scaffold.checks.reading import Repo, beside, mapping, several, within
from scaffold.checks.result import Finding
from scaffold.checks.rule import Guard, Subject
from scaffold.checks.scripts import missing, missing_verbs

DVC = r"(^|/)dvc\.yaml$"
WORKFLOWS = r"^\.github/workflows/[^/]+\.ya?ml$"
KUSTOMIZE = r"(^|/)kustomization\.ya?ml$"
COMPOSE = r"(^|/)(docker-)?compose[\w.-]*\.ya?ml$"
TEMPLATES = r"^src/[^/]+/production/templates/"
PROMETHEUS = r"(^|/)prometheus[\w.-]*\.ya?ml$"
LISTS = ("resources", "bases", "components", "crds", "patchesStrategicMerge")


class SC005(Guard):
    """A DVC stage points to nothing.

    A stage whose script or input exists nowhere fails on its first run, which may be months away:
    templates are full of such stages. Looked for: the scripts and modules of `cmd`, `deps` and
    files of `params`, unless another stage makes them or a `.dvc` file tracks them.

    Way out: write what is missing, correct the path, or take the stage out.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo = subject.repo
        pipelines = {
            path: mapping(repo.document(path).get("stages")) for path in repo.matching(DVC)
        }
        made = {out for path, stages in pipelines.items() for out in _outs(path, stages)}
        made |= _planned(repo) if subject.evidence.ours else set()
        for path, stages in pipelines.items():
            for name, stage in stages.items():
                for what in dict.fromkeys(_lacking(repo, path, mapping(stage), made)):
                    line = repo.line(path, what)
                    yield cls.finding(f"stage {name}: {what} does not exist", path, line)


class SC006(Guard):
    """A step of a workflow, or a verb of the Makefile, points to nothing.

    It is green until the day it runs. Looked for: scripts, modules, requirements and pipelines that
    `run:` or a recipe names, verbs that the Makefile lacks, and local actions (`uses: ./...`).

    Way out: write what is missing, correct the path, or take the step out.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo = subject.repo
        for path in repo.matching(WORKFLOWS):
            for said, what in _steps(repo, mapping(repo.document(path).get("jobs"))):
                line = repo.line(path, said) or repo.line(path, "dvc repro")
                yield cls.finding(what, path, line)
        text = repo.text("Makefile")
        for recipe in re.findall(r"(?m)^\t(.*)$", text):
            for what in missing(repo, recipe.lstrip("@-+")):
                if f"{what}:" in text:
                    continue  # Another target makes it.
                yield cls.finding(
                    f"{what} does not exist", "Makefile", repo.line("Makefile", recipe)
                )


class SC007(Guard):
    """A manifest names a file that is not there.

    What deploys is refused as a whole when one file of it is missing. Looked for: the resources,
    patches and generators of a kustomization, what Compose builds, and the rule files of
    Prometheus.

    Way out: write the file, correct the path, or take the line out.
    """

    @classmethod
    def find(cls, subject: Subject) -> Iterator[Finding]:
        repo = subject.repo
        planned = _planned(repo) if subject.evidence.ours else set()
        for pattern, named in (
            (KUSTOMIZE, _kustomized),
            (COMPOSE, _composed),
            (PROMETHEUS, partial(_rules, repo)),
        ):
            for path in repo.matching(pattern):
                for name in filter(_is_place, named(repo.document(path))):
                    place = beside(path, name)
                    there = repo.has(place) or _made(place, planned)
                    if not there and not place.startswith(".."):
                        yield cls.finding(f"{name} does not exist", path, repo.line(path, name))


def _outs(path: str, stages: dict[str, Any]) -> Iterator[str]:
    for stage in map(mapping, stages.values()):
        folder = within(path.rpartition("/")[0], str(stage.get("wdir", ".")))
        for kind in ("outs", "metrics", "plots"):
            for out in several(stage.get(kind)):
                yield within(folder, str(next(iter(mapping(out)), out)))


def _planned(repo: Repo) -> set[str]:
    """Return what `make setup` of our repos derives: a new project does not have it yet."""
    names = (path.partition("/templates/")[2] for path in repo.matching(TEMPLATES))
    return {f"ops/derived/{name}" for name in names}


def _lacking(repo: Repo, path: str, stage: dict[str, Any], made: set[str]) -> Iterator[str]:
    """Return what one stage of a dvc.yaml asks for and nobody has."""
    stage = mapping(stage.get("do")) or stage
    folder = within(path.rpartition("/")[0], str(stage.get("wdir", ".")))
    for command in several(stage.get("cmd")):
        yield from missing(repo, str(command), folder)
    params = [name for each in several(stage.get("params")) for name in mapping(each)]
    for dep in [*several(stage.get("deps")), *params]:
        name = str(next(iter(mapping(dep)), dep))
        place = within(folder, name)
        there = repo.lies(place) or repo.has(f"{place}.dvc") or _made(place, made)
        if _is_place(name) and not name.startswith("/") and not there:
            yield name


def _made(place: str, made: Iterable[str]) -> bool:
    """Say whether a stage makes this, a folder around it, or something in it."""
    return any(f"{place}/".startswith(f"{out}/") or out.startswith(f"{place}/") for out in made)


def _is_place(name: str) -> bool:
    """Say whether a text is a plain path: no address, no pattern, nothing to fill in."""
    return bool(re.fullmatch(r"[^\s:*?${}\n]+", name)) and "github.com/" not in name


def _steps(repo: Repo, jobs: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return (what stands in the file, what is wrong) for each step that points to nothing."""
    for job in map(mapping, jobs.values()):
        settings = mapping(mapping(job.get("defaults")).get("run"))
        steps = [mapping(step) for step in several(job.get("steps"))]
        for user in (job, *steps):
            uses = str(user.get("uses", ""))
            if uses.startswith("./") and not _is_action(repo, within("", uses)):
                yield uses, f"uses: {uses} does not exist"
        if any({"repository", "path"} & mapping(step.get("with")).keys() for step in steps):
            continue  # Something else is checked out, too: its files may be meant.
        for step in steps:
            folder = str(step.get("working-directory") or settings.get("working-directory") or "")
            script = str(step.get("run", ""))
            if "$" not in folder:
                for path in missing(repo, script, folder):
                    yield path, f"{path} does not exist"
                for verb in missing_verbs(repo, script, folder):
                    yield f"make {verb}", f"make {verb}: the Makefile has no such verb"


def _is_action(repo: Repo, path: str) -> bool:
    ends = ("action.yml", "action.yaml", "Dockerfile")
    if path.endswith((".yml", ".yaml")):
        return repo.has(path)
    return any(repo.has(within(path, end)) for end in ends)


def _kustomized(document: dict[str, Any]) -> Iterator[str]:
    for kind in LISTS:
        yield from (str(each) for each in several(document.get(kind)))
    for kind in ("patches", "patchesJson6902", "replacements"):
        for each in map(mapping, several(document.get(kind))):
            yield str(each.get("path", ""))
    for each in map(mapping, several(document.get("configMapGenerator"))):
        for file in (*several(each.get("files")), *several(each.get("envs"))):
            yield str(file).rpartition("=")[2]


def _composed(document: dict[str, Any]) -> Iterator[str]:
    for service in map(mapping, mapping(document.get("services")).values()):
        build = service.get("build")
        settings = mapping(build) or {"context": build or ""}
        context, file = str(settings.get("context") or "."), settings.get("dockerfile")
        yield f"{context}/{file}" if file else context


def _rules(repo: Repo, document: dict[str, Any]) -> Iterator[str]:
    """Return the rule files that are nowhere: a container may mount them from another folder."""
    names = {path.rpartition("/")[2] for path in repo.files}
    for each in map(str, several(document.get("rule_files"))):
        if not each.startswith("/") and each.rpartition("/")[2] not in names:
            yield each
