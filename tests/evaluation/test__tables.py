from html.parser import HTMLParser

from deepchem_meta.evaluation._tables import WIDTH, html_table, text_table, wrapped


def test_columns_that_do_not_fit_follow_in_blocks():
    rows = [["steps", *(f"a metric number {i}" for i in range(9))]]
    rows += [[str(j), *(f"{i}.{j}" for i in range(9))] for j in range(3)]
    text = text_table(rows)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert text.count("steps") == 3 and text.count("\n\n") == 2
    for row in rows:
        assert all(cell in text for cell in row)


def test_nothing_is_cut():
    long = "an assay of " + "n" * 70 + " cells"
    text = text_table([["", "loss", "task"], [long, "1", long]], left=True)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    letters = text.replace("\n", "").replace(" ", "")
    assert letters.count("n" * 30) >= 2 and letters.count("n") >= 2 * long.count("n")
    assert text.count("cells") == 3  # the first column stands in both blocks


def test_a_small_table():
    assert text_table([["steps", "loss"], ["0", "1.5"]]) == "steps  loss\n    0   1.5"
    assert text_table([["", "loss"], ["MAML", "1.5"]], left=True) == "      loss\nMAML   1.5"


def test_sentences_are_wrapped():
    assert max(map(len, wrapped("word " * 60).splitlines())) <= WIDTH


def test_html_is_escaped_and_well_formed():
    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.cells = [], []

        def handle_starttag(self, tag, attributes):
            self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            if self.open and self.open[-1] in ("th", "td", "caption"):
                self.cells.append(data)

    tags = Tags()
    tags.feed(html_table([["", "loss"], ["<b>&", "1 ± 2"]], "of <i>"))
    assert not tags.open and tags.cells == ["of <i>", "loss", "<b>&", "1 ± 2"]
