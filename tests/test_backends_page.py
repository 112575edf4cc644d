"""The table of what backends take, in the documentation."""

from pathlib import Path

from modelport.backends import BACKENDS, CAPABILITY_HEADS, capability_rows, get_backend

PAGE = Path(__file__).parent.parent / "docs" / "backends.md"


def test_the_page_says_what_the_code_says() -> None:
    rows = capability_rows({name: get_backend(name).CAPABILITIES for name in BACKENDS})
    head, *body = (f"| {' | '.join(cells)} |" for cells in (CAPABILITY_HEADS, *rows))
    wanted = "\n".join([head, "|---" * len(CAPABILITY_HEADS) + "|", *body])
    block = PAGE.read_text().split("<!-- capabilities -->\n")[1].split("\n<!-- end -->")[0]
    assert block == wanted, f"the page is to have\n\n{wanted}\n"
