"""A flipped byte in results/ ends a run in one line, and what the line says repairs it."""

from pathlib import Path

from running import run_snakemake

TEXT = "results/text/crumb-lexical.parquet"
SPEECH = "results/speech/crumb-lexical/0000.parquet"
CRUMB = ("--cores", "1", "--config", "recipe=crumb")


def test_damage_is_named_with_its_repair(checkout: Path) -> None:
    run_snakemake([TEXT, *CRUMB], checkout)
    path = checkout / TEXT
    whole = path.read_bytes()
    content = bytearray(whole)
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    done = run_snakemake([SPEECH, *CRUMB], checkout, check=False)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {TEXT}: damaged (")
    assert "; delete it and run snakemake again to make it anew (see results/logs/" in line
    assert done.returncode == 1 and not (checkout / SPEECH).exists()
    path.unlink()
    run_snakemake([SPEECH, *CRUMB], checkout)
    assert path.read_bytes() == whole and (checkout / SPEECH).exists()
