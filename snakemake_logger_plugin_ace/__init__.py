"""What a run shows to a person: Snakemake's logger plugin ``ace``, chosen in the profiles.

A line for each finished job with the last message of its step, the progress of jobs that take long,
the steps' warnings, and the end of the log of a job that failed. On a terminal the running jobs
stand below, each with the last line of its log. Nothing is lost: the steps' own lines stay in their
logs and Snakemake's in ``.snakemake/log``; ``--verbose`` or ``--printshellcmds`` shows what
Snakemake would show without this plugin.

Why our own: ``--quiet`` drops lines from ``.snakemake/log`` too, and errors together with jobs;
``snakemake-logger-plugin-rich`` shows a bar a rule on a terminal, nothing of the jobs elsewhere,
and nowhere what a step says. Progress is read from the steps' logs: it is there on a cluster too.
"""

from snakemake_logger_plugin_ace.display import LogHandler

__all__ = ["LogHandler"]
