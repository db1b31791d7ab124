"""docs/brokers.md has the gaps that the tests ask about."""

from docs.build import FOLDER
from tests.support.gaps import GAPS


def test_every_gap_is_in_the_table_of_the_page() -> None:
    """Line for line: what operators read is what every run of the tests finds."""
    head = ["| | Apache Kafka | the embedded broker | hence |", "| --- | --- | --- | --- |"]
    rows = [f"| {gap.name} | {gap.kafka} | {gap.embedded} | {gap.consequence} |" for gap in GAPS]
    page = (FOLDER / "brokers.md").read_text(encoding="utf-8")
    table = page.partition("<!-- gaps -->\n")[2].partition("<!-- end -->")[0]
    assert table.splitlines() == [*head, *rows]
