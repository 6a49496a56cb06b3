"""Result tables and figures -> one HTML page that needs nothing else, network included.

--reports is the folder that tabulate, slices, stress and plot filled; --splits the one with
audit.tsv and left_out.tsv; --salience and --convergence the tables of these names, if there are.
"""

import base64
from pathlib import Path

from jinja2 import Environment

from labelmer.base import tables
from labelmer.base.errors import InputError
from labelmer.base.files import write_atomically
from labelmer.base.log import log
from labelmer.base.stage import command, parse, stage_parser
from labelmer.report import columns, text
from labelmer.report.columns import EXPERIMENT
from labelmer.report.text import percent

SOMETIMES = ("salience", "convergence")  # with rationales, and where something is trained
RESULTS = ("compare", "pairs", "slices", "classes", "folds", "robustness", "deletion")
STYLE = """
:root { color-scheme: light dark; --ink: #1d2329; --soft: #5c6670; --line: #dde2e7;
  --back: #ffffff; --band: #f5f7f9; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #98a3ad; --line: #333b43;
  --back: #15191d; --band: #1d2329; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink);
  background: var(--back); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.9rem; margin: 0 0 1rem; }
h2 { font-size: 1.35rem; margin: 3rem 0 0.75rem; padding-top: 1.25rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 0.5rem; }
p { max-width: 46rem; }
p.soft { font-size: 0.85rem; }
a { color: var(--accent); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.25rem; margin: 0; }
dt, caption, figcaption, summary, .soft { color: var(--soft); }
dd { margin: 0; }
nav ul { padding-left: 1.1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums;
  margin: 0.75rem 0; }
caption { caption-side: bottom; text-align: left; padding-top: 0.5rem; font-size: 0.85rem;
  position: sticky; left: 0; max-width: min(46rem, 100vw - 3rem); }
th, td { padding: 0.3rem 0.75rem; text-align: right; white-space: nowrap; }
th { font-weight: 600; }
thead tr:last-child th { border-bottom: 1px solid var(--soft); }
thead th[colspan] { text-align: center; }
tbody tr:nth-child(even) { background: var(--band); }
th.name, td.name { text-align: left; }
td.prose { text-align: left; white-space: normal; }
figure { margin: 1rem 0; }
figure img { display: block; width: 100%; background: #ffffff; border-radius: 6px; padding: 0.5rem;
  border: 1px solid var(--line); }
figcaption { font-size: 0.85rem; padding-top: 0.4rem; max-width: 46rem; }
.full { max-width: 52rem; }
.grid { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); }
.grid figure { margin: 0; }
summary { cursor: pointer; margin: 1rem 0; }
"""

TEMPLATE = """\
{% macro figure(uri, alt, caption, class) -%}
<figure{% if class %} class="{{ class }}"{% endif %}><img src="{{ uri }}" alt="{{ alt }}">
{%- if caption %}<figcaption>{{ caption }}</figcaption>{% endif %}</figure>
{%- endmacro -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ corpus }}: emotion recognition results</title>
<style>{{ style }}</style>
</head>
<body>
<h1>{{ corpus }}: emotion recognition results</h1>
<dl>
<dt>Protocol</dt><dd>{{ design.protocol }}</dd>
<dt>Selection</dt><dd>{{ design.selection }}</dd>
<dt>Design</dt><dd>{{ scope }}</dd>
<dt>Measures</dt><dd>WA: weighted accuracy, the share of utterances that are right.
UA: unweighted accuracy, the mean recall over the classes. All numbers are percent and come from
the test parts.</dd>
</dl>
<nav><ul>
{% for e in experiments %}<li><a href="#e{{ loop.index }}">{{ e.name }}</a></li>
{% endfor %}<li><a href="#folds">Folds and their audit</a></li>
<li><a href="#left-out">What was left out</a></li>
</ul></nav>
{% for e in experiments %}
<section id="e{{ loop.index }}">
<h2>{{ e.name }}</h2>
<h3>Variants compared</h3>
<div class="wide"><table>
<caption>Mean ± standard deviation over folds of the mean over seeds; pooled: over the utterances
of all folds at once, mean over seeds, with its 95% interval by the jackknife over the
{{ design.speakers }} speakers, all seeds of an utterance together. ECE: expected calibration
error in 15 bins of equal width, as predicted → after scaling each run by the temperature that its
validation part asks for. {{ scope }}. {{ rule }}</caption>
<thead><tr><th class="name">variant</th><th>UA</th><th>WA</th><th>weighted F1</th>
<th>macro F1</th><th>UA pooled [95%]</th><th>WA pooled [95%]</th><th>ECE</th><th>n</th></tr></thead>
<tbody>
{% for row in e.compare %}<tr><td class="name">{{ row.variant }}</td>
<td>{{ row.ua | percent(row.ua_sd) }}</td><td>{{ row.wa | percent(row.wa_sd) }}</td>
<td>{{ row.weighted_f1 | percent }}</td><td>{{ row.macro_f1 | percent }}</td>
<td>{{ row.ua_pooled | percent }} {{ row.ua_low | interval(row.ua_high) }}</td>
<td>{{ row.wa_pooled | percent }} {{ row.wa_low | interval(row.wa_high) }}</td>
<td>{{ row.ece | percent }} → {{ row.ece_scaled | percent }}</td>
<td>{{ row.utterances }}</td></tr>
{% endfor %}</tbody></table></div>
{{ figure(e.folds_figure, "Unweighted accuracy of every fold, per variant",
  "Unweighted accuracy of every fold (mean over seeds), with mean and standard deviation over
folds. " ~ scope ~ ". " ~ rule, "full") }}
{% if e.pairs %}<h3>Paired differences</h3>
{{ figure(e.pairs_figure, "Differences in unweighted accuracy, with intervals",
  "Pooled UA of each variant minus that of " ~ e.pairs[0].other ~ ", mean over seeds, with its 95%
interval by the jackknife over speakers. Band: up to the smallest true difference that this design
finds with a chance of 80%, two-sided at 5%. p: of the same jackknife, corrected by Holm for "
~ comparisons ~ " pairs. " ~ scope ~ "; speakers: " ~ design.speakers ~ ". " ~ rule, "full") }}
<details><summary>Every pair ({{ e.pairs | length }} rows)</summary>
<div class="wide"><table>
<caption>Pooled UA of the variant minus that of the other, in percentage points, with its 95%
interval and two-sided p by the jackknife over speakers. Alone: utterances that
only the variant, or only the other, has right, by the votes of the seeds; McNemar's exact p of
these, which takes utterances to be independent. Holm: corrected for {{ comparisons }} pairs.
Detectable: smallest true difference found with a chance of 80%, two-sided at 5%; none is given
where the speakers' differences do not vary. {{ scope }};
speakers: {{ design.speakers }}. {{ rule }}</caption>
<thead><tr><th colspan="2"></th><th colspan="4">jackknife</th><th colspan="4">McNemar</th>
<th></th></tr>
<tr><th class="name">variant</th><th class="name">other</th><th>difference</th><th>95%</th>
<th>p</th><th>Holm</th><th>alone</th><th>other</th><th>p</th><th>Holm</th>
<th>detectable</th></tr></thead>
<tbody>
{% for row in e.pairs %}<tr><td class="name">{{ row.variant }}</td>
<td class="name">{{ row.other }}</td><td>{{ row.difference | points }}</td>
<td>{{ row.low | points_interval(row.high) }}</td><td>{{ row.p_jackknife | p }}</td>
<td>{{ row.p_jackknife_holm | p }}</td><td>{{ row.right_alone }}</td>
<td>{{ row.other_right_alone }}</td><td>{{ row.p_mcnemar | p }}</td>
<td>{{ row.p_mcnemar_holm | p }}</td><td>{{ row.detectable | percent }}</td></tr>
{% endfor %}</tbody></table></div></details>
{% endif %}<h3>Where it helps</h3>
{{ figure(e.slices_figure, "Unweighted accuracy on slices of the test utterances, per variant",
  "UA of each variant on slices of the test utterances, pooled over folds, mean over seeds; n:
utterances of the slice. " ~ ("The colour is the difference from " ~ e.slices[0].variant ~ ". Bold:
its 95% interval, by the jackknife over speakers, does not hold zero; this is not
corrected for the number of comparisons, so some are bold by chance. " if e.pairs else "")
~ scope ~ ". " ~ rule, "full") }}
<details><summary>Every slice ({{ e.slices | length }} rows)</summary>
<div class="wide"><table>
<caption>UA (over the classes that the slice has) and WA of each variant on a slice, pooled over
folds, mean over seeds; the difference in UA from {{ e.slices[0].variant }} on the same utterances,
in percentage points; each with its 95% interval by the jackknife over speakers. n:
utterances of the slice. Alone: utterances that only the variant, or only {{ e.slices[0].variant }},
has right, by the votes of the seeds; McNemar's exact p of these. Holm: corrected for
{{ slice_comparisons }} differences. Detectable: smallest true difference found with a chance of
80%, two-sided at 5%; none is given where the speakers' differences do not vary. {{ scope }}.
{{ rule }}</caption>
<thead><tr><th colspan="7"></th><th colspan="4">jackknife</th><th colspan="4">McNemar</th>
<th></th></tr>
<tr><th class="name">slicing</th><th class="name">slice</th><th>n</th><th>speakers</th>
<th class="name">variant</th><th>UA [95%]</th><th>WA</th><th>difference</th><th>95%</th><th>p</th>
<th>Holm</th><th>alone</th><th>other</th><th>p</th><th>Holm</th><th>detectable</th></tr></thead>
<tbody>
{% for row in e.slices %}<tr><td class="name">{{ row.slicing }}</td>
<td class="name">{{ row | slice_name }}</td><td>{{ row.utterances }}</td><td>{{ row.speakers }}</td>
<td class="name">{{ row.variant }}</td>
<td>{{ row.ua | percent }} {{ row.low | interval(row.high) }}</td><td>{{ row.wa | percent }}</td>
{% if row.other %}<td>{{ row.difference | points }}</td>
<td>{{ row.difference_low | points_interval(row.difference_high) }}</td>
<td>{{ row.p_jackknife | p }}</td><td>{{ row.p_jackknife_holm | p }}</td>
<td>{{ row.right_alone | int }}</td><td>{{ row.other_right_alone | int }}</td>
<td>{{ row.p_mcnemar | p }}</td><td>{{ row.p_mcnemar_holm | p }}</td>
<td>{{ row.detectable | percent }}</td>{% else %}<td colspan="9"></td>{% endif %}</tr>
{% endfor %}</tbody></table></div></details>
<h3>Calibration</h3>
{{ figure(e.calibration_figure, "Accuracy by confidence, per variant",
  "Share of right predictions in each of 15 bins of equal width of the predicted class's
probability, and the share of utterances in each bin; as predicted, and after scaling each run by
the temperature that its validation part asks for. ECE: mean distance from the diagonal, weighted
by the bins' counts, mean over seeds. " ~ scope ~ ". " ~ rule, "full") }}
<h3>Missing modality{% if e.transcripts %}, recognised words{% endif %}</h3>
{{ figure(e.robustness_figure, "Unweighted accuracy by what the model is given, per variant",
  "Pooled UA, mean over seeds, with its 95% interval by the jackknife over speakers.
No model is trained anew: only the input of the test part changes. " ~ scope ~ "; speakers: "
~ design.speakers ~ ". " ~ rule, "full") }}
<details><summary>Every variant and condition ({{ e.robustness | length }} rows)</summary>
<div class="wide"><table>
<caption>Pooled UA and WA, mean over seeds, and UA minus that of the same models given all, in
percentage points; with 95% intervals by the jackknife over speakers. {{ scope }};
speakers: {{ design.speakers }}. {{ rule }}</caption>
<thead><tr><th class="name">variant</th><th class="name">given</th><th>UA [95%]</th>
<th>WA [95%]</th><th>difference in UA [95%]</th></tr></thead>
<tbody>
{% for row in e.robustness %}<tr><td class="name">{{ row.variant }}</td>
<td class="name">{{ conditions[row.condition] }}</td>
<td>{{ row.ua | percent }} {{ row.ua_low | interval(row.ua_high) }}</td>
<td>{{ row.wa | percent }} {{ row.wa_low | interval(row.wa_high) }}</td>
<td>{% if row.condition != "all" %}{{ row.difference | points }}
{{ row.difference_low | points_interval(row.difference_high) }}{% endif %}</td></tr>
{% endfor %}</tbody></table></div></details>
{% if e.deletion %}<h3>Deletion</h3>
{{ figure(e.deletion_figure, "Unweighted accuracy by the share of tokens or frames deleted",
  "Pooled UA, mean over seeds, after the tokens or frames with the highest salience are deleted, and
after as many are deleted at random, with 95% intervals by the jackknife over speakers. "
~ scope ~ "; speakers: " ~ design.speakers ~ ". " ~ rule, "full") }}
<details><summary>Every share, against random deletion ({{ e.deletion | length }} rows)</summary>
<div class="wide"><table>
<caption>After the most salient tokens or frames are deleted: pooled UA and confidence, the mean
probability of the class that is predicted without deletion; then how far both are higher where as
many are deleted at random, in percentage points, with 95% interval and two-sided p by the
jackknife over speakers; Holm: corrected for all rows of deletion.tsv. {{ scope }}; speakers:
{{ design.speakers }}. {{ rule }}</caption>
<thead><tr><th colspan="5"></th><th colspan="3">UA: random − salient</th>
<th colspan="3">confidence: random − salient</th></tr>
<tr><th class="name">variant</th><th class="name">from</th><th>deleted</th><th>UA</th>
<th>confidence</th><th>difference [95%]</th><th>p</th><th>Holm</th><th>difference [95%]</th>
<th>p</th><th>Holm</th></tr></thead>
<tbody>
{% for row in e.deletion %}<tr><td class="name">{{ row.variant }}</td>
<td class="name">{{ row.modality }}</td><td>{{ row.share | percent }}</td>
<td>{{ row.ua | percent }}</td><td>{{ row.confidence | percent }}</td>
{%- for measure in ("", "confidence_") %}{% set name = measure ~ "against_random" %}
<td>{{ row[name] | points }} {{ row[name ~ "_low"] | points_interval(row[name ~ "_high"]) }}</td>
<td>{{ row[name ~ "_p"] | p }}</td><td>{{ row[name ~ "_p_holm"] | p }}</td>
{%- endfor %}</tr>
{% endfor %}</tbody></table></div></details>
{% endif %}{% if e.salience %}<h3>Salience and rationales</h3>
{{ figure(e.salience_figure, "Share of the salience on the rationales, per variant",
  "Share of the salience on the rationale, the stretch that is known to carry the label: mean over
the test utterances that have one (their number stands above each panel), pooled over folds, mean
over seeds, with its 95% interval by the jackknife over speakers. Uniform: the share
of the tokens or frames that lie there. " ~ rule, "full") }}
<details><summary>Every measure ({{ e.salience | length }} rows)</summary>
<div class="wide"><table>
<caption>Share of the measure on the rationale, in percent; minus uniform, and minus the salience of
the variant with plain attention, in percentage points; 95% intervals and two-sided p by
the jackknife over speakers, not corrected for the number of rows. n: test utterances
with a rationale. {{ rule }}</caption>
<thead><tr><th class="name">variant</th><th class="name">modality</th><th class="name">measure</th>
<th>share [95%]</th><th>uniform</th><th>ratio</th><th>− uniform [95%]</th><th>p</th>
<th class="name">attention</th><th>− attention [95%]</th><th>p</th><th>n</th></tr></thead>
<tbody>
{% for row in e.salience %}<tr><td class="name">{{ row.variant }}</td>
<td class="name">{{ row.modality }}</td><td class="name">{{ row.measure }}</td>
<td>{{ row.share | percent }} {{ row.low | interval(row.high) }}</td>
<td>{{ row.uniform | percent }}</td><td>{{ row.ratio | ratio }}</td>
<td>{{ row.over_uniform | points }}
{{ row.over_uniform_low | points_interval(row.over_uniform_high) }}</td>
<td>{{ row.over_uniform_p | p }}</td><td class="name">{{ row.attention }}</td>
<td>{% if row.attention %}{{ row.over_attention | points }}
{{ row.over_attention_low | points_interval(row.over_attention_high) }}{% endif %}</td>
<td>{% if row.attention %}{{ row.over_attention_p | p }}{% endif %}</td>
<td>{{ row.utterances }}</td></tr>
{% endfor %}</tbody></table></div></details>
{% endif %}{% if e.examples_figure %}<h3>Examples</h3>
{{ figure(e.examples_figure, "Six test utterances with their salience",
  "Test utterances that a rule chose, with the salience of their tokens and frames (orange, in times
of an even share), what these say of the predicted class (blue), and the rationale where it is known
(line). Right ones: of middling length and median confidence, where there are some with a rationale;
wrong ones: at a quarter and at three quarters of the confidences. n = 6 of the test utterances of
one seed. " ~ rule, "full") }}
{% endif %}<h3>Classes</h3>
<div class="wide"><table>
<caption>Recall (R), precision (P) and F1 of each class, pooled over folds, mean over seeds; n: test
utterances of the class. {{ scope }}. {{ rule }}</caption>
<thead><tr><th></th>{% for label, n in e.labels %}<th colspan="3">{{ label }} (n = {{ n }})</th>
{%- endfor %}</tr>
<tr><th class="name">variant</th>{% for _ in e.labels %}<th>R</th><th>P</th><th>F1</th>
{%- endfor %}</tr></thead>
<tbody>
{% for variant, rows in e.classes %}<tr><td class="name">{{ variant }}</td>
{%- for row in rows %}<td>{{ row.recall | percent }}</td><td>{{ row.precision | percent }}</td>
<td>{{ row.f1 | percent }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
<h3>Confusion</h3>
<p class="soft">Each row of a matrix adds up to 100 percent of a true class; the small numbers are
test utterances, pooled over folds, mean over seeds. {{ scope }}. {{ rule }}</p>
<div class="grid">
{% for variant, uri in e.confusion %}{{ figure(uri, "Confusion matrix of " ~ variant, "", "") }}
{% endfor %}</div>
{% if e.training_figure %}<h3>Training</h3>
{{ figure(e.training_figure, "Loss and unweighted accuracy over the epochs, per variant",
  "A line per fold and seed. The training loss sums all terms, the validation loss is that of the
prediction alone, so their heights do not compare. " ~ scope ~ ". " ~ rule, "full") }}
{% if e.convergence %}<div class="wide"><table>
<caption>Updates of the weights in a training, mean over folds and seeds, and up to the epoch that
was chosen; late: share of the trainings whose epoch is in the last tenth. Where that is large, a
variant may not have learned all that it can.</caption>
<thead><tr><th class="name">variant</th><th>updates</th><th>chosen</th><th>least</th><th>most</th>
<th>late</th></tr></thead>
<tbody>
{% for row in e.convergence %}<tr><td class="name">{{ row.variant }}</td>
<td>{{ "%.0f" | format(row.updates) }}</td><td>{{ "%.0f" | format(row.chosen) }}</td>
<td>{{ row.chosen_least }}</td><td>{{ row.chosen_most }}</td><td>{{ row.late | percent }}</td></tr>
{% endfor %}</tbody></table></div>{% endif %}
{% endif %}<details><summary>Every fold and seed ({{ e.folds | length }} rows)</summary>
<div class="wide"><table>
<caption>Test part of one fold, one seed; n: its utterances. {{ rule }}</caption>
<thead><tr><th class="name">variant</th><th>fold</th><th class="name">held out</th><th>seed</th>
<th>UA</th><th>WA</th><th>weighted F1</th><th>macro F1</th><th>n</th></tr></thead>
<tbody>
{% for row in e.folds %}<tr><td class="name">{{ row.variant }}</td><td>{{ row.fold }}</td>
<td class="name">{{ row.held_out }}</td><td>{{ row.seed }}</td><td>{{ row.ua | percent }}</td>
<td>{{ row.wa | percent }}</td><td>{{ row.weighted_f1 | percent }}</td>
<td>{{ row.macro_f1 | percent }}</td><td>{{ row.utterances }}</td></tr>
{% endfor %}</tbody></table></div></details>
</section>
{% endfor %}
<section id="folds">
<h2>Folds and their audit</h2>
<div class="wide"><table>
<caption>Utterances of every part, in all and per class, and what the part shares with training and
with validation: speakers (S), dialogues (D), and utterances of four words or more whose transcript
stands there too (T). Protocol: {{ design.protocol }}.</caption>
<thead><tr><th colspan="3"></th><th colspan="{{ audit_classes | length + 1 }}">utterances</th>
<th colspan="3">shared with training</th><th colspan="3">shared with validation</th></tr>
<tr><th>fold</th><th class="name">held out</th><th class="name">part</th><th>all</th>
{%- for name in audit_classes %}<th>{{ name }}</th>{% endfor %}
<th>S</th><th>D</th><th>T</th><th>S</th><th>D</th><th>T</th></tr></thead>
<tbody>
{% for row in audit %}<tr><td>{{ row.fold }}</td><td class="name">{{ row.held_out }}</td>
<td class="name">{{ row.part }}</td><td>{{ row.utterances }}</td>
{%- for name in audit_classes %}<td>{{ row["n_" ~ name] }}</td>{% endfor %}
{%- for part in ("train", "validation") %}
{%- for what in ("speakers", "dialogues", "transcripts") %}
<td>{% if row.part != part %}{{ row[what ~ "_in_" ~ part] }}{% endif %}</td>
{%- endfor %}{% endfor %}</tr>
{% endfor %}</tbody></table></div>
</section>
<section id="left-out">
<h2>What was left out</h2>
{% if left_out %}<div class="wide"><table>
<caption>Entries of the corpus that stand in no part of a fold, counted by reason. left_out.tsv
names every one.</caption>
<thead><tr><th class="name">reason</th><th class="name">folds</th><th>n</th></tr></thead>
<tbody>
{% for reason, fold, n in left_out %}<tr><td class="prose">{{ reason }}</td>
<td class="name">{{ fold }}</td><td>{{ n }}</td></tr>
{% endfor %}</tbody></table></div>
{% else %}<p>Nothing.</p>
{% endif %}</section>
</body>
</html>
"""


def render(corpus, results, splits, figures):
    """The page as text.

    corpus: its name; results: the tables of RESULTS by name, and those of SOMETIMES that there are;
    splits: the tables audit and left_out by name; figures: the folder of the SVG files.
    """
    first = results["compare"].iloc[0]
    audit = splits["audit"]
    environment = Environment(autoescape=True)
    environment.filters |= {
        "percent": percent,
        "interval": text.percent_interval,
        "points": text.points,
        "points_interval": text.points_interval,
        "p": text.p_text,
        "ratio": text.ratio_text,
        "slice_name": text.slice_text,
    }
    return environment.from_string(TEMPLATE).render(
        style=STYLE,
        corpus=corpus,
        design=first,
        scope=f"Folds: {first['folds']}; seeds: {first['seeds']}; "
        f"n = {first['utterances']} test utterances",
        comparisons=len(results["pairs"]),
        slice_comparisons=int(results["slices"]["difference"].notna().sum()),
        rule=f"Protocol: {first['protocol']}. Selection: {first['selection']}.",
        experiments=[
            experiment(names, results, figures)
            for names in results["compare"][EXPERIMENT].drop_duplicates().itertuples(index=False)
        ],
        conditions=columns.CONDITIONS,
        audit=audit.to_dict("records"),
        audit_classes=[c.removeprefix("n_") for c in audit.columns if c.startswith("n_")],
        left_out=left_out_counts(splits["left_out"]),
    )


def experiment(names, results, figures):
    """What the template shows of one experiment; names: speech, text and mode."""
    of_experiment = {
        name: table[(table[EXPERIMENT] == list(names)).all(axis=1)]
        for name, table in results.items()
    }
    compare, classes = of_experiment["compare"], of_experiment["classes"]
    salience, convergence = (
        of_experiment[name].to_dict("records") if name in results else [] for name in SOMETIMES
    )
    folder = figures / f"{names.speech}+{names.text}" / names.mode
    variants = list(compare["variant"])
    robustness, deletion = of_experiment["robustness"], of_experiment["deletion"]
    compared = deletion[(deletion["order"] == "most-salient") & (deletion["share"] > 0)]

    def of_training(name):  # of late fusions alone there is none, though an old one may lie there
        return data_uri(folder / f"{name}.svg") if len(compared) else None

    labels = classes.drop_duplicates("label")[["label", "support"]]
    return {
        "name": f"{names.speech} + {names.text}, {names.mode} encoders",
        "compare": compare.to_dict("records"),
        "labels": list(labels.itertuples(index=False, name=None)),
        "classes": [
            (variant, classes[classes["variant"] == variant].to_dict("records"))
            for variant in variants
        ],
        "folds": of_experiment["folds"].to_dict("records"),
        "folds_figure": data_uri(folder / "folds.svg"),
        "pairs": of_experiment["pairs"].to_dict("records"),
        "pairs_figure": data_uri(folder / "pairs.svg") if len(of_experiment["pairs"]) else None,
        "slices": list(of_experiment["slices"].itertuples()),
        "slices_figure": data_uri(folder / "slices.svg"),
        "calibration_figure": data_uri(folder / "calibration.svg"),
        "robustness": robustness.to_dict("records"),
        "robustness_figure": data_uri(folder / "robustness.svg"),
        "transcripts": (robustness["condition"] == "transcripts").any(),
        "deletion": compared.to_dict("records"),
        "deletion_figure": of_training("deletion"),
        "training_figure": of_training("training"),
        "salience": salience,
        "convergence": convergence,
        "salience_figure": data_uri(folder / "salience.svg") if salience else None,
        "examples_figure": of_training("examples"),
        "confusion": [(v, data_uri(folder / f"{v}.confusion.svg")) for v in variants],
    }


def left_out_counts(left_out):
    """(reason, folds, number) of every reason, the most frequent first."""
    counts = left_out.groupby(["reason", "fold"]).size().sort_values(ascending=False, kind="stable")
    return [(reason, fold, n) for (reason, fold), n in counts.items()]


def data_uri(path):
    """An SVG file as the address of an image, so that the page holds it."""
    if not path.exists():
        raise InputError(f"{path}: there is no such figure, expected one; plot it first")
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


@command
def main(argv=None):
    """Write the page of a corpus."""
    parser = stage_parser(__doc__)
    parser.add_argument("--corpus", required=True, help="its name, for the title")
    parser.add_argument("--reports", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--splits", type=Path, required=True, metavar="FOLDER")
    for name in SOMETIMES:
        parser.add_argument(
            f"--{name}", type=Path, nargs="?", metavar="TSV", help="if there is one"
        )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    args = parse(parser, argv)
    results = {n: columns.read(args.reports / f"{n}.tsv", n) for n in RESULTS}
    for name in SOMETIMES:
        if path := getattr(args, name):
            results[name] = columns.read(path, name)
    splits = {n: tables.read(args.splits / f"{n}.tsv", n) for n in ("audit", "left_out")}
    page = render(args.corpus, results, splits, args.reports / "figures")
    write_atomically(args.out, page)
    log.info("wrote %s, %.1f MB", args.out, len(page) / 1e6)
