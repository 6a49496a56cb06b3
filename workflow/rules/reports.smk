"""Predictions -> tables and one page.

REQUIRED INPUTS:

    S/predictions/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/perturbed/{speech}+{text}/{mode}/{variant}/fold{fold}.seed{seed}.tsv
    S/salience/.../speech.h5, text.h5
    S/models/.../history.tsv, of models of metadata config.json
    C/utterances/{session}.tsv
    C/segments/{session}.tsv, {session}.h5
    C/transcripts/{transcriber}/{session}.tsv, where there is one
    S/reports/figures/
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
    S/reports/missing_rates.tsv  where a share of the test utterances lacks a modality
    S/reports/deletion.tsv       without the most salient, and without random, tokens and frames
    S/reports/recognition.tsv    word error rates, where there is a transcriber
    S/reports/convergence.tsv    after how many updates each variant was best on validation
    S/reports/weights.tsv        with which weights late fusions multiply
    S/reports/salience.tsv       share of salience on the rationales, where the corpus has some
    S/reports/browser.json       what the page shows of each test utterance
    S/reports/index.html         all of it on one page
"""


rule rationales:
    input:
        utterances=in_corpus("utterances/{session}.tsv"),
        segments=in_corpus("segments/{session}.tsv"),
        left_out=other_utterances(),
    output:
        f"{S}/rationales.tsv",
    log:
        f"{LOGS}/rationales.log",
    benchmark:
        f"{BENCHMARKS}/rationales.tsv"
    priority: 100  # before anything trains
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
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
            --left-out {input.left_out:q} \
            --config {params.config:q} \
            --log {log:q}
        """


# All of them in one job, so that each file of predictions is read once.
rule tabulate:
    input:
        predictions=every_run(PREDICTIONS),
        perturbed=every_run(PERTURBED),
        metadata=every_run(ABOUT, from_metadata),
        audit=split_table("audit"),
        segments=in_corpus("segments/{session}.tsv"),
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
        slices=report(f"{S}/reports/slices.tsv", category="Tables", caption="../report/slices.rst"),
        robustness=report(
            f"{S}/reports/robustness.tsv", category="Tables", caption="../report/robustness.rst"
        ),
        missing_rates=report(
            f"{S}/reports/missing_rates.tsv",
            category="Tables",
            caption="../report/missing_rates.rst",
        ),
        deletion=report(
            f"{S}/reports/deletion.tsv", category="Tables", caption="../report/deletion.rst"
        ),
    log:
        f"{LOGS}/reports/tables.log",
    benchmark:
        f"{BENCHMARKS}/reports/tables.tsv"
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        predictions=every_run_short(PREDICTIONS),
        perturbed=every_run_short(PERTURBED),
        metadata=every_run_short(ABOUT, from_metadata),
        config=tracked(
            "tabulate", *MODULES, **STATED, classes=CLASSES, inputs=ALL_INPUTS, models=MULTIPLIED
        ),
    shell:
        """
        python -m labelmer tabulate \
            --predictions {params.predictions} \
            --perturbed {params.perturbed} \
            --metadata {params.metadata} \
            --segments {input.segments:q} \
            --audit {input.audit:q} \
            --out "$(dirname {output.compare:q})" \
            --config {params.config:q} \
            --log {log:q}
        """


if TRANSCRIBER:

    rule recognition:
        input:
            utterances=in_corpus("utterances/{session}.tsv"),
            transcripts=in_corpus(f"{TRANSCRIPTS}/{{session}}.tsv"),
            folds=fold_tables,
        output:
            report(
                f"{S}/reports/recognition.tsv",
                category="Tables",
                caption="../report/recognition.rst",
            ),
        log:
            f"{LOGS}/reports/recognition.log",
        benchmark:
            f"{BENCHMARKS}/reports/recognition.tsv"
        group:
            "reports"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=memory("plain"),
        params:
            config=tracked("recognition", language=LANGUAGE),
        shell:
            """
            python -m labelmer recognition \
                {output:q} \
                --utterances {input.utterances:q} \
                --transcripts {input.transcripts:q} \
                --folds {input.folds:q} \
                --config {params.config:q} \
                --log {log:q}
            """


rule convergence:
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
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        histories=every_run_short(HISTORY, trained),
        config=tracked("convergence", selection=STATED["selection"], training=config["training"]),
    shell:
        """
        python -m labelmer convergence \
            --histories {params.histories} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule weights:
    input:
        every_run(WEIGHTS, fused),
    output:
        report(f"{S}/reports/weights.tsv", category="Tables", caption="../report/weights.rst"),
    log:
        f"{LOGS}/reports/weights.log",
    benchmark:
        f"{BENCHMARKS}/reports/weights.tsv"
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        weights=every_run_short(WEIGHTS, fused),
        config=tracked("weights", selection=STATED["selection"]),
    shell:
        """
        python -m labelmer weights \
            --weights {params.weights} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule salience:
    input:
        salience=every_run(SALIENCE, trained),
        rationales=CHECKED_RATIONALES,
        utterances=in_corpus("utterances/{session}.tsv"),
        segments=in_corpus("segments/{session}.tsv"),
        audit=split_table("audit"),
    output:
        report(f"{S}/reports/salience.tsv", category="Tables", caption="../report/salience.rst"),
    log:
        f"{LOGS}/reports/salience.log",
    benchmark:
        f"{BENCHMARKS}/reports/salience.tsv"
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        salience=every_run_short(SALIENCE, trained),
        config=tracked("salience", **STATED),
    shell:
        """
        python -m labelmer salience \
            {input.rationales:q} \
            {output:q} \
            --salience {params.salience} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --audit {input.audit:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule browser:
    input:
        predictions=every_run(PREDICTIONS),
        salience=every_run(SALIENCE, trained),
        utterances=in_corpus("utterances/{session}.tsv"),
        segments=in_corpus("segments/{session}.h5"),
        transcripts=(
            in_corpus(f"{TRANSCRIPTS}/{{session}}.tsv") if trains_on_recognised(config) else []
        ),
    output:
        f"{S}/reports/browser.json",
    log:
        f"{LOGS}/reports/browser.log",
    benchmark:
        f"{BENCHMARKS}/reports/browser.tsv"
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        predictions=every_run_short(PREDICTIONS),
        salience=every_run_short(SALIENCE, trained),
        config=tracked("browser", classes=CLASSES, audio=config["page"]["audio"]),
    shell:
        """
        python -m labelmer browser \
            --predictions {params.predictions} \
            --salience {params.salience} \
            --utterances {input.utterances:q} \
            --segments {input.segments:q} \
            --transcripts {input.transcripts:q} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """


rule page:
    input:
        tables=rules.tabulate.output,
        browser=rules.browser.output,
        salience=rules.salience.output if RATIONALES else [],
        convergence=rules.convergence.output if ANY_TRAINED else [],
        weights=rules.weights.output if ANY_FUSED else [],
        recognition=rules.recognition.output if TRANSCRIBER else [],
        cross_corpus=rules.cross_corpus.output if OTHERS else [],
        figures=all_figures(),
        audit=split_table("audit"),
        left_out=split_table("left_out"),
    output:
        report(f"{S}/reports/index.html", category="Page", caption="../report/page.rst"),
    log:
        f"{LOGS}/reports/page.log",
    benchmark:
        f"{BENCHMARKS}/reports/page.tsv"
    group:
        "reports"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=memory("plain"),
    params:
        title=f"{NAME}, {config['study']}",
        config=page_params,
    shell:
        """
        python -m labelmer page \
            --title {params.title:q} \
            --reports "$(dirname {output:q})" \
            --splits "$(dirname {input.audit:q})" \
            --salience {input.salience:q} \
            --convergence {input.convergence:q} \
            --weights {input.weights:q} \
            --recognition {input.recognition:q} \
            --browser {input.browser:q} \
            --cross_corpus {input.cross_corpus:q} \
            --out {output:q} \
            --config {params.config:q} \
            --log {log:q}
        """
