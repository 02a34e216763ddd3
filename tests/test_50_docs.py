# SPDX-License-Identifier: Apache-2.0
"""The documents say what the sources say: the ABI's numbers, the configuration's keys, targets, tests, links."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
UPDATE = "run make, then /usr/bin/python3 tests/test_50_docs.py"
MAKE_FILES = [ROOT / "Makefile", *(p for d in ("tools", "guest", "boot", "tests") for p in ROOT.glob(f"{d}/**/*.mk"))]


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands(page):
    """Lines of the page's code blocks, and what stands in backquotes."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page, re.M | re.S)
    return [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", page)


def targets():
    rules = "\n".join(p.read_text(encoding="utf-8") for p in MAKE_FILES)
    return {name for line in re.findall(r"^([a-z][\w -]*):(?!=)", rules, re.M) for name in line.split()}


def header_numbers():
    """BH_* of the ABI header, as numbers."""
    found = re.findall(r"^#define (BH_\w+)\s+\(?(-?\w+)\)?", text("hypercall/abi.h").replace("\\\n", " "), re.M)
    return {name: int(value, 0) for name, value in found}


def page_numbers():
    """BH_* of docs/abi.md: table rows with the number in the first column, and `NAME` = n or is n in the text."""
    page, numbers = text("docs/abi.md"), {}
    for value, name in re.findall(r"^\| (-?[0-9]+) \| `(BH_\w+)` \|", page, re.M):
        numbers[name] = int(value)
    for name, value in re.findall(r"`(BH_\w+)`\s+(?:=|is) (\d+)", page):
        numbers[name] = int(value)
    for value, name in re.findall(r"([0-9A-Fa-f]+)h \(`(BH_\w+)`\)", page):
        numbers[name] = int(value, 16)
    return numbers


def test_abi_numbers():
    assert page_numbers() == header_numbers()


def demo_rights():
    """What the build lists for the demo's Linux: its MSR rows, and its ports."""
    allow = BUILD / "demo" / "allow.txt"
    if not allow.is_file():
        pytest.fail(f"{allow} is not built: run make (or make test)", pytrace=False)
    linux = allow.read_text(encoding="utf-8").split("partition linux\n")[1].split("\npartition ")[0]
    rows = re.findall(r"^    (0x[0-9a-fx-]+ +read .*)$", linux, re.M)
    return rows, re.search(r"^  (ports: .*)$", linux, re.M)[1].replace(": ", ":\n").replace(", ", "\n")


def test_abi_lists_the_rights_of_the_demo():
    """The MSR list of docs/abi.md is the one that the build prints."""
    rows, ports = demo_rights()
    page = text("docs/abi.md")
    assert len(rows) > 20
    shown = [line for line in page.splitlines() if re.match(r"0x[0-9a-fx-]+ +read ", line)]
    assert shown == rows, f"docs/abi.md is stale: {UPDATE}"
    assert ports in page, f"docs/abi.md is stale: {UPDATE}"


def test_configuration_keys():
    """Each key of the schema is explained, and nothing else is."""
    schema = text("tools/mkconfig/input.c")
    keys = set(re.findall(r"(?:TEXT|TEXT_OPTIONAL|CYAML_FIELD_\w+)\(\"(\w+)\"", schema))
    keys |= set(re.findall(r"(?:MAPPING|LIST)_OPTIONAL\(struct \w+, (\w+),", schema))
    page = text("docs/configuration.md")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.M)
    explained = {key for row in rows for key in re.findall(r"\w+", row)}
    explained |= set(re.findall(r"`(kit|linux):", page))
    assert keys == explained


def test_configuration_defaults():
    """Features that are never shown, actions, and limits are those of the sources."""
    page = text("docs/configuration.md")
    rows = re.findall(r"^FEATURE\((\w+), .*, (\d)\)", text("config/features.def"), re.M)
    never = [name for name, kind in rows if kind == "2"]
    said = re.search(r"never shown:\n(.*)\.$", page, re.M)[1]
    assert re.findall(r"`(\w+)`", said) == never
    for name, default in re.findall(r"\[ERROR_(\w+)\] = ACTION_(\w+),", text("tools/mkconfig/rights.c")):
        assert re.search(rf"^\| `{name.lower()}` \|.*\| `{default.lower()}` \|", page, re.M), name


def test_commands_of_the_documents():
    """make targets and tools that the documents name exist."""
    known = targets()
    assert {"run", "test", "check", "all"} <= known, sorted(known)
    for page in PAGES:
        for line in commands(page.read_text(encoding="utf-8")):
            words = line.split("#")[0].split()
            if words and words[0] == "make":
                for word in words[1:]:
                    if word == "-f":
                        break
                    assert "=" in word or word in known, f"{page.name}: {line}: no target {word}"
            elif words and re.match(r"(tools|tests|boot|core|vmx|ept|hypercall|config|guest)/[\w./-]+$", words[0]):
                by_the_reader = "NAME" in words[0] or "blink" in words[0]
                assert by_the_reader or (ROOT / words[0]).exists(), f"{page.name}: {words[0]} does not exist"


def test_every_target_of_help_is_in_the_readme():
    said = re.findall(r'^\techo "make +([\w-]+) ', text("Makefile"), re.M)
    assert len(said) > 5
    readme = text("README.md")
    assert [t for t in said if f"make {t}" not in readme and t not in ("build", "clean")] == []


def anchor(heading):
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links(page):
    content = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", content):
        if re.match(r"https?:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.name}: {link}"
        if fragment:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert fragment in map(anchor, headings), f"{page.name}: {link}"


def python_tests(name):
    return set(re.findall(r"^def (test_\w+)", text(name), re.M))


def test_claims_name_tests_that_exist():
    """docs/claims.md: tests/test_X.py::name and tests/host/test_X.c::name."""
    page = text("docs/claims.md")
    named = re.findall(r"`(tests/[\w/]+\.(?:py|c))(?:::(\w+))?`", page)
    assert len(named) > 30
    for file, name in named:
        assert (ROOT / file).is_file(), file
        if name and file.endswith(".py"):
            assert name in python_tests(file), f"{file}::{name}"
        elif name:
            assert re.search(rf"\b{name}\b", text(file)), f"{file}::{name}"


def test_every_claim_says_what_was_seen():
    rows = re.findall(r"^\|(.*)\|$", text("docs/claims.md").split("## Rows")[0], re.M)
    claims = [[c.strip() for c in row.split("|")] for row in rows if len(row.split("|")) == 4]
    claims = [c for c in claims if c[0] != "claim" and not c[0].startswith("---")]
    assert len(claims) > 30
    for claim, seen, by, _ in claims:
        assert seen in ("mechanism", "effect", "not observable", "not tested"), claim
        assert seen in ("not observable", "not tested") or "`tests/" in by or "`make " in by, f"no test: {claim}"


def draw_plan(to):
    tool = BUILD / "mkconfig"
    if not tool.is_file():
        pytest.fail(f"{tool} is not built: run make (or make test)", pytrace=False)
    subprocess.run([tool, "plan", "config/demo.yaml", "--root", BUILD, "--svg", to], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL, timeout=60)


def test_plan_picture_is_the_demos(tmp_path):
    draw_plan(tmp_path / "plan.svg")
    made = (tmp_path / "plan.svg").read_bytes()
    assert made == (ROOT / "docs/plan.svg").read_bytes(), f"docs/plan.svg is stale: {UPDATE}"


def draw_flows(to):
    graph = to.with_suffix(".dot")
    subprocess.run([BUILD / "mkconfig", "plan", "config/plant.yaml", "--root", BUILD, "--dot", graph], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL, timeout=60)
    subprocess.run(["dot", "-Tsvg", graph, "-o", to], check=True, timeout=60)
    graph.unlink()


def drawn(svg):
    """Nodes, arrows and labels: where they are is up to the version of graphviz."""
    return sorted(re.findall(r"<(?:title|text)\b[^>]*>(.*?)<", svg.read_text(encoding="utf-8")))


def test_flows_picture_is_the_plants(tmp_path):
    draw_flows(tmp_path / "flows.svg")
    made = drawn(tmp_path / "flows.svg")
    assert len(made) > 20
    assert made == drawn(ROOT / "docs/flows.svg"), f"docs/flows.svg is stale: {UPDATE}"


def test_figures_of_the_readme():
    """Each figure of the README's table is in docs/figures.md."""
    section = text("README.md").split("## Figures\n")[1].split("\n## ")[0]
    numbers = set(re.findall(r"\b\d+(?:,\d+)*\b", "".join(re.findall(r"^\|[^|]*\|([^|]*)\|", section, re.M))))
    known = set(re.findall(r"\b\d+(?:,\d+)*\b", text("docs/figures.md")))
    assert len(numbers) > 15
    assert numbers - known == {"45"}, "45 stands for 44.81 and 44.98"


def test_termshot(tmp_path):
    """Escape sequences and markup do no harm, gaps show, the order of lines is kept."""
    log, out = tmp_path / "log", tmp_path / "out.svg"
    log.write_text("[a] one \x1b[6n<&>\r\nleft out\r\n[core] " + "x" * 200 + "\r\n", encoding="utf-8")
    run = [ROOT / "tools/termshot", log, out, "--lines", "1,3"]
    subprocess.run(run, check=True, timeout=30)
    svg = out.read_text(encoding="utf-8")
    assert all(there in svg for there in ("one &lt;&amp;&gt;", "\u22ee", "x\u2026"))
    assert "left out" not in svg and "\x1b" not in svg
    assert subprocess.run([*run[:-1], "3,1"], stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == 2
    assert subprocess.run([*run[:-1], "4"], stderr=subprocess.DEVNULL, timeout=30, check=False).returncode == 2


def mkconfig_check(tmp_path, yaml):
    file = tmp_path / "demo.yaml"
    file.write_text(yaml, encoding="utf-8")
    run = subprocess.run([BUILD / "mkconfig", "check", file], capture_output=True, text=True, timeout=60, check=False)
    return run.returncode, run.stderr.replace(str(file), "config/demo.yaml")


def test_walk_through_mistakes(tmp_path):
    """The error lines that the README shows are those that its mistakes give."""
    demo = text("config/demo.yaml")
    mistakes = [demo.replace("    memory: 256 MiB", "    memroy: 256 MiB"), demo.replace("cpus: [1]", "cpus: [0]")]
    shown = re.findall(r"^error: config/demo\.yaml:.*\n", text("README.md"), re.M)
    assert [mkconfig_check(tmp_path, m) for m in mistakes] == [(1, line) for line in shown]


def test_walk_through_partition(tmp_path):
    """The README's third partition is accepted, and its C file and the kit manual's compile."""
    readme = text("README.md")
    added = re.search(r"^```yaml\n(.*?)^```", readme, re.M | re.S)[1]
    demo = text("config/demo.yaml").replace("cpus: 2,", "cpus: 3,")
    assert mkconfig_check(tmp_path, demo + "\n" + added) == (0, "")
    for page in (readme, text("docs/guest-kit.md")):
        for source in re.findall(r"^```c\n(.*?)^```", page, re.M | re.S):
            subprocess.run(["gcc", "-std=c17", "-fsyntax-only", "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-I.",
                            "-Iguest/kit", "-x", "c", "-"], input=source, text=True, cwd=ROOT, check=True, timeout=60)


def update():
    """Writes what is taken over from the build: the MSR rows of docs/abi.md, docs/plan.svg, and docs/flows.svg."""
    rows, ports = demo_rights()
    page = text("docs/abi.md")
    for begin, block in ("0x", "\n".join(rows)), ("ports:", ports):
        page = re.sub(rf"^```\n{begin}.*?\n```$", lambda _: f"```\n{block}\n```", page, count=1, flags=re.M | re.S)
    (ROOT / "docs/abi.md").write_text(page, encoding="utf-8")
    draw_plan(ROOT / "docs/plan.svg")
    draw_flows(ROOT / "docs/flows.svg")


if __name__ == "__main__":
    update()
