"""Predictions -> tables, figures and one page.

REQUIRED INPUTS:

    S/predictions/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/perturbed/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/salience/.../speech.h5, text.h5
    S/models/.../history.tsv
    C/utterances/{session}.tsv
    C/segments/{session}.h5, {session}.tsv
    S/splits/fold{fold}.tsv
    S/splits/audit.tsv, left_out.tsv

    the table of rationales, where the corpus has one

OUTPUTS:

    S/rationales.tsv             rationales, held against the corpus
    S/reports/compare.tsv        one row per variant
    S/reports/pairs.tsv          one row per pair of variants: differences, tests
    S/reports/summary.tsv        mean, deviation, pooled value and intervals of every metric
    S/reports/folds.tsv          every fold and seed
    S/reports/classes.tsv        precision, recall and F1 of every class
    S/reports/confusion.tsv      counts
    S/reports/calibration.tsv    accuracy by confidence
    S/reports/slices.tsv         accuracy on slices of the test utterances
    S/reports/robustness.tsv     without a modality, and on recognised words
    S/reports/deletion.tsv       without the most salient, and without random, tokens and frames
    S/reports/convergence.tsv    after how many updates each variant was best on validation
    S/reports/salience.tsv       share of salience on the rationales, where the corpus has some
    S/reports/figures/           SVG and PNG
    S/reports/index.html         all of it on one page
"""


rule check_rationales:
    input:
        utterances=expand(f"{C}/utterances/{{session}}.tsv", session=SESSIONS),
        segments=expand(f"{C}/segments/{{session}}.tsv", session=SESSIONS),
    output:
        f"{S}/rationales.tsv",
    log:
        f"{LOGS}/rationales.log",
    benchmark:
        f"{BENCHMARKS}/rationales.tsv"
    priority: 100  # before anything trains
    conda:
        ENVIRONMENT
    params:
        rationales=RATIONALES,
        config=tracked("rationales", table=given("rationales")),
    shell:
        """
        python -m labelmer rationales \
            {params.rationales:q} \
            {output:q} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule tabulate:
    input:
        predictions=every_run(PREDICTIONS),
        folds=fold_tables,
        audit=split_table("audit"),
    output:
        compare=report(
            f"{S}/reports/compare.tsv", category="Tables", caption="../report/compare.rst"
        ),
        pairs=report(f"{S}/reports/pairs.tsv", category="Tables", caption="../report/pairs.rst"),
        summary=report(
            f"{S}/reports/summary.tsv", category="Tables", caption="../report/summary.rst"
        ),
        folds=report(f"{S}/reports/folds.tsv", category="Tables", caption="../report/folds.rst"),
        classes=report(
            f"{S}/reports/classes.tsv", category="Tables", caption="../report/classes.rst"
        ),
        confusion=report(
            f"{S}/reports/confusion.tsv", category="Tables", caption="../report/confusion.rst"
        ),
        calibration=report(
            f"{S}/reports/calibration.tsv", category="Tables", caption="../report/calibration.rst"
        ),
    log:
        f"{LOGS}/reports/tables.log",
    benchmark:
        f"{BENCHMARKS}/reports/tables.tsv"
    conda:
        ENVIRONMENT
    params:
        predictions=every_run_short(PREDICTIONS),
        config=tracked("tabulate", protocol=protocol(), selection=selection(), classes=CLASSES),
    shell:
        """
        python -m labelmer tabulate \
            --predictions {params.predictions} \
            --folds {input.folds:q} \
            --audit {input.audit:q} \
            --out "$(dirname {output.compare:q})" \
            --config {params.config:q} \
            --log {log:q}
        """


rule converge:
    input:
        every_run(HISTORY, trained),
    output:
        report(
            f"{S}/reports/convergence.tsv", category="Tables", caption="../report/convergence.rst"
        ),
    log:
        f"{LOGS}/reports/convergence.log",
    benchmark:
        f"{BENCHMARKS}/reports/convergence.tsv"
    conda:
        ENVIRONMENT
    params:
        histories=every_run_short(HISTORY, trained),
        config=tracked("convergence", selection=selection()),
    shell:
        """
        python -m labelmer convergence \
            --histories {params.histories} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule slice:
    input:
        predictions=every_run(PREDICTIONS),
        folds=fold_tables,
        audit=split_table("audit"),
        segments=expand(f"{C}/segments/{{session}}.tsv", session=SESSIONS),
    output:
        report(f"{S}/reports/slices.tsv", category="Tables", caption="../report/slices.rst"),
    log:
        f"{LOGS}/reports/slices.log",
    benchmark:
        f"{BENCHMARKS}/reports/slices.tsv"
    conda:
        ENVIRONMENT
    params:
        predictions=every_run_short(PREDICTIONS),
        config=tracked("slices", protocol=protocol(), selection=selection(), classes=CLASSES),
    shell:
        """
        python -m labelmer slices \
            --predictions {params.predictions} \
            --folds {input.folds:q} \
            --audit {input.audit:q} \
            --segments {input.segments:q} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule stress:
    input:
        predictions=every_run(PREDICTIONS),
        perturbed=every_run(PERTURBED),
        folds=fold_tables,
        audit=split_table("audit"),
    output:
        robustness=report(
            f"{S}/reports/robustness.tsv", category="Tables", caption="../report/robustness.rst"
        ),
        deletion=report(
            f"{S}/reports/deletion.tsv", category="Tables", caption="../report/deletion.rst"
        ),
    log:
        f"{LOGS}/reports/stress.log",
    benchmark:
        f"{BENCHMARKS}/reports/stress.tsv"
    conda:
        ENVIRONMENT
    params:
        predictions=every_run_short(PREDICTIONS),
        perturbed=every_run_short(PERTURBED),
        config=tracked("stress", protocol=protocol(), selection=selection(), classes=CLASSES),
    shell:
        """
        python -m labelmer stress \
            --predictions {params.predictions} \
            --perturbed {params.perturbed} \
            --folds {input.folds:q} \
            --audit {input.audit:q} \
            --out "$(dirname {output.robustness:q})" \
            --config {params.config:q} \
            --log {log:q}
        """


rule weigh_salience:
    input:
        salience=every_run(SALIENCE, trained),
        predictions=every_run(PREDICTIONS, trained),
        rationales=CHECKED_RATIONALES,
        utterances=expand(f"{C}/utterances/{{session}}.tsv", session=SESSIONS),
        segments=expand(f"{C}/segments/{{session}}.tsv", session=SESSIONS),
    output:
        report(f"{S}/reports/salience.tsv", category="Tables", caption="../report/salience.rst"),
    log:
        f"{LOGS}/reports/salience.log",
    benchmark:
        f"{BENCHMARKS}/reports/salience.tsv"
    conda:
        ENVIRONMENT
    params:
        salience=every_run_short(SALIENCE, trained),
        predictions=every_run_short(PREDICTIONS, trained),
        config=tracked("salience", protocol=protocol(), selection=selection()),
    shell:
        """
        python -m labelmer salience \
            {input.rationales:q} \
            {output:q} \
            --salience {params.salience} \
            --predictions {params.predictions} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule plot_confusion:
    input:
        rules.tabulate.output.confusion,
    output:
        svg=report(
            f"{FIGURES}/{{variant}}.confusion.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/confusion-figure.rst",
        ),
        png=f"{FIGURES}/{{variant}}.confusion.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/{{variant}}.confusion.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/{{variant}}.confusion.tsv"
    conda:
        ENVIRONMENT
    params:
        config=tracked("plot"),
    shell:
        """
        figure={output.svg:q}
        python -m labelmer plot \
            confusion \
            {input:q} \
            "${{figure%.svg}}" \
            --speech {wildcards.speech:q} \
            --text {wildcards.text:q} \
            --mode {wildcards.mode:q} \
            --variant {wildcards.variant:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule plot_folds:
    input:
        rules.tabulate.output.folds,
    output:
        svg=report(
            f"{FIGURES}/folds.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/folds-figure.rst",
        ),
        png=f"{FIGURES}/folds.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/folds.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/folds.tsv"
    conda:
        ENVIRONMENT
    params:
        config=tracked("plot"),
    shell:
        """
        figure={output.svg:q}
        figure="${{figure%.svg}}"
        python -m labelmer plot \
            "${{figure##*/}}" \
            {input:q} \
            "$figure" \
            --speech {wildcards.speech:q} \
            --text {wildcards.text:q} \
            --mode {wildcards.mode:q} \
            --config {params.config:q} \
            --log {log:q}
        """


# The same command, which takes what is drawn from the figure's name.


use rule plot_folds as plot_pairs with:
    input:
        rules.tabulate.output.pairs,
    output:
        svg=report(
            f"{FIGURES}/pairs.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/pairs-figure.rst",
        ),
        png=f"{FIGURES}/pairs.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/pairs.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/pairs.tsv"


use rule plot_folds as plot_slices with:
    input:
        rules.slice.output,
    output:
        svg=report(
            f"{FIGURES}/slices.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/slices-figure.rst",
        ),
        png=f"{FIGURES}/slices.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/slices.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/slices.tsv"


use rule plot_folds as plot_calibration with:
    input:
        rules.tabulate.output.calibration,
    output:
        svg=report(
            f"{FIGURES}/calibration.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/calibration-figure.rst",
        ),
        png=f"{FIGURES}/calibration.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/calibration.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/calibration.tsv"


use rule plot_folds as plot_robustness with:
    input:
        rules.stress.output.robustness,
    output:
        svg=report(
            f"{FIGURES}/robustness.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/robustness-figure.rst",
        ),
        png=f"{FIGURES}/robustness.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/robustness.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/robustness.tsv"


use rule plot_folds as plot_deletion with:
    input:
        rules.stress.output.deletion,
    output:
        svg=report(
            f"{FIGURES}/deletion.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/deletion-figure.rst",
        ),
        png=f"{FIGURES}/deletion.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/deletion.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/deletion.tsv"


use rule plot_folds as plot_salience with:
    input:
        rules.weigh_salience.output,
    output:
        svg=report(
            f"{FIGURES}/salience.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/salience-figure.rst",
        ),
        png=f"{FIGURES}/salience.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/salience.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/salience.tsv"


rule illustrate:
    input:
        predictions=examples_of(PREDICTIONS),
        salience=examples_of(SALIENCE),
        utterances=expand(f"{C}/utterances/{{session}}.tsv", session=SESSIONS),
        segments=expand(f"{C}/segments/{{session}}.h5", session=SESSIONS),
        rationales=CHECKED_RATIONALES,
    output:
        svg=report(
            f"{FIGURES}/examples.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/examples-figure.rst",
        ),
        png=f"{FIGURES}/examples.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/examples.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/examples.tsv"
    conda:
        ENVIRONMENT
    params:
        config=tracked("illustrate"),
    shell:
        """
        figure={output.svg:q}
        python -m labelmer illustrate \
            "${{figure%.svg}}" \
            --predictions {input.predictions:q} \
            --salience {input.salience:q} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --rationales {input.rationales:q} \
            --config {params.config:q} \
            --log {log:q}
        """


use rule plot_folds as plot_training with:
    input:
        histories,
    output:
        svg=report(
            f"{FIGURES}/training.svg",
            category="{speech}+{text} ({mode})",
            caption="../report/training-figure.rst",
        ),
        png=f"{FIGURES}/training.png",
    log:
        f"{LOGS}/reports/figures/{EXPERIMENT}/training.log",
    benchmark:
        f"{BENCHMARKS}/reports/figures/{EXPERIMENT}/training.tsv"


rule page:
    input:
        tables=rules.tabulate.output,
        slices=rules.slice.output,
        stress=rules.stress.output,
        salience=rules.weigh_salience.output if RATIONALES else [],
        convergence=rules.converge.output if ANY_TRAINED else [],
        figures=all_figures(),
        audit=split_table("audit"),
        left_out=split_table("left_out"),
    output:
        report(f"{S}/reports/index.html", category="Page", caption="../report/page.rst"),
    log:
        f"{LOGS}/reports/page.log",
    benchmark:
        f"{BENCHMARKS}/reports/page.tsv"
    conda:
        ENVIRONMENT
    params:
        corpus=CORPUS["name"],
        config=tracked("page"),
    shell:
        """
        python -m labelmer page \
            --corpus {params.corpus:q} \
            --reports "$(dirname {output:q})" \
            --splits "$(dirname {input.audit:q})" \
            --salience {input.salience:q} \
            --convergence {input.convergence:q} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """
