"""Every LaTeX that robench writes compiles, and tables of the user's models fit the page."""

import re
import shutil
import subprocess

import pytest
from test_own import made, values

from robench.results.comparing_many import ManyComparison, Pair, Ranked, ValueComparison
from robench.suites import get
from robench.tables import comparisons
from robench.tables.own import own_table, with_rows
from robench.tables.own_forms import render
from robench.tables.own_published import published_lines
from robench.tables.paper_tables import render as render_paper
from robench.tables.published import addresses, load_table


def compiled(folder, text):
    """Return what pdflatex says of a document with this body."""
    for program in ("pdflatex", "kpsewhich"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (texlive-latex-base)")
    for package in ("booktabs.sty", "longtable.sty", "graphicx.sty"):
        if subprocess.run(["kpsewhich", package], capture_output=True).returncode:
            pytest.skip(f"LaTeX has no {package} (texlive-latex-recommended)")
    head = "\\documentclass{article}\\usepackage{booktabs,longtable,graphicx}\\begin{document}\n"
    (folder / "t.tex").write_text(f"{head}{text}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "t.pdf").stat().st_size > 10_000
    return done.stdout


def imagenet(name, error):
    """A whole result on ImageNet-C."""
    names = ("clean", *get("imagenet-c").benchmark)
    conditions = {c: values(error=(error + k / 100, 0.004)) for k, c in enumerate(names)}
    result = made(name, error, name="imagenet-c", normaliser="alexnet", images=50_000)
    summary = values(mce=(error + 0.2, 0.005), mean_error=(error, 0.003), clean_error=(0.23, 0.003))
    return result.model_copy(update={"conditions": conditions, "summary": summary})


def with_published(results, **words):
    table = own_table(results, **words)
    found = published_lines(results, table.columns)
    return with_rows(table, found.lines, found.notes)


def test_tables_of_models_compile_and_fit(tmp_path):
    two = [imagenet("my_model", 0.5), imagenet("other#1 50%", 0.6)]
    six = [imagenet(f"net {k}", 0.4 + k / 50) for k in range(6)]
    small = [made("a_1", 0.2), made("b", 0.3, complete=False)]
    tables = [
        own_table(two),
        own_table(two, by="corruption"),
        own_table(two, by="severity"),
        own_table(two, by="group"),
        own_table(six, by="corruption"),
        own_table(six, by="corruption", figures=["ce"]),
        own_table(small, group_rows="architecture"),
        with_published(two),
        with_published(two, by="corruption", figures=["ce"]),
        with_published([small[0]]),
        with_published([small[0]], by="severity"),
    ]
    said = compiled(tmp_path, "\n".join(render(table, "latex") for table in tables))
    assert re.findall(r"(?:Overfull|Missing character|Float too large).*", said) == []


def test_the_forms_of_wide_tables():
    two = [imagenet("my_model", 0.5), imagenet("other", 0.6)]
    turned = render(own_table(two, by="corruption"), "latex")
    assert "Gaussian noise & \\textbf{51.00} {\\scriptsize [50.60, 51.40]} & 61.00" in turned
    wide = render(with_published(two, by="corruption", figures=["ce"]), "latex")
    assert "\\multicolumn{3}{c}{Noise} & \\multicolumn{4}{c}{Blur}" in wide
    assert "\\cmidrule(lr){3-5}" in wide
    assert "AugMix & 22.4 & 65 & 66 & 67" in wide  # as the paper prints them
    long = render(with_published([made("a", 0.2)]), "latex")
    assert long.count("\\begin{longtable}") == 1
    assert "longtable" in long.splitlines()[0]


def test_wide_tables_of_seeds_keep_their_standard_deviations():
    def seed(recipe, k, error):
        found = imagenet(f"{recipe}{k}", error)
        found.model.card |= {"recipe": recipe, "recipe_digest": recipe, "trained_with": {"seed": k}}
        return found

    runs = [seed(f"r{n}", k, 0.4 + n / 50 + k / 100) for n in range(6) for k in (1, 2)]
    text = render(own_table(runs, by="corruption", seeds=True), "latex")
    assert "\\scriptsize" in text.split("\\setlength")[0]
    row = next(line for line in text.splitlines() if line.startswith("r0, 2 seeds"))
    assert "41.5 $\\pm$ 0.7" in row
    assert row.count("$\\pm$") == row.count("&")


@pytest.mark.slow
def test_the_papers_tables_and_comparisons_compile(tmp_path):
    ranked = {n: Ranked(value=v, best_rank=k, worst_rank=k) for k, (n, v) in enumerate([("a_1", 0.2), ("b", 0.3)], 1)}
    pair = Pair(a="b", b="a_1", difference=0.1, low=0.05, high=0.15, significant=True, verdict="worse")
    found = ValueComparison(runs=ranked, pairs=[pair], critical=2.0)
    many = ManyComparison(
        runs=["a_1", "b"], suite="cifar10-c", images=9, resamples=100, values={"mean_error": found}, sentences=[]
    )
    papers = [render_paper(load_table(address), None, "latex") for address in addresses()]
    said = compiled(tmp_path, "\n\\clearpage\n".join([*papers, comparisons.FORMS["latex"](many)]))
    assert "Missing character" not in said
