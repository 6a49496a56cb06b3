# labelmer: speech and words in, cross-validated emotion recognition out. See README.md.


include: "workflow/rules/common.smk"
include: "workflow/functions/corpus.smk"
include: "workflow/functions/features.smk"
include: "workflow/functions/models.smk"
include: "workflow/functions/figures.smk"
include: "workflow/functions/reports.smk"
include: "workflow/functions/transfer.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/reports.smk"


# Snakemake's limit to jobs a second wakes its scheduler every second, once for each job so far: after
# hundreds of jobs that keeps half a core busy. On one machine nothing needs the limit.
onstart:
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


rule all:
    default_target: True
    input:
        every_run(PREDICTIONS),
        rules.tabulate.output,
        rules.convergence.output if ANY_TRAINED else [],
        rules.weights.output if ANY_FUSED else [],
        rules.recognition.output if TRANSCRIBER else [],
        rules.cross_corpus.output if OTHERS else [],
        all_figures(),
        rules.page.output,


rule features:
    input:
        all_features(),


rule splits:
    input:
        rules.split.output,
        CHECKED_RATIONALES,
