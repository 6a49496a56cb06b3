"""Tables, histories and salience -> figures, each a file in labelmer/figures.

REQUIRED INPUTS:

    S/reports/*.tsv
    S/models/.../history.tsv
    S/predictions/.../fold{fold}.seed{seed}.tsv
    S/salience/.../speech.h5, text.h5
    C/utterances/{session}.tsv
    C/segments/{session}.h5
    S/rationales.tsv, where the corpus has rationales

OUTPUTS:

    S/reports/figures/{speech}+{text}/{mode}/
        {figure}.svg, {figure}.png, {variant}.{figure}.svg, {variant}.{figure}.png
"""

for figure, said in FIGURES.items():

    rule:
        name:
            f"plot_{figure}"
        input:
            **given_to_draw(said.reads),
        output:
            svg=report(
                figure_path(figure, said, "svg"),
                category="{speech}+{text} ({mode})",
                caption=f"../report/{figure}-figure.rst",
            ),
            png=figure_path(figure, said, "png"),
        log:
            figure_path(figure, said, "log", LOGS),
        benchmark:
            figure_path(figure, said, "tsv", BENCHMARKS)
        group:
            "reports"
        conda:
            ENVIRONMENT
        resources:
            mem_mb=memory("plain"),
        params:
            figure=figure,
            options=options_of_plot,
            config=tracked("plot", f"figures.{figure}"),
        shell:
            """
            figure={output.svg:q}
            python -m labelmer plot \
                {params.figure:q} \
                {input.tables:q} \
                "${{figure%.svg}}" \
                --speech {wildcards.speech:q} \
                --text {wildcards.text:q} \
                --mode {wildcards.mode:q} \
                {params.options:q} \
                --config {params.config:q} \
                --log {log:q}
            """
