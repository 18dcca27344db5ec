"""Tables of the report: which columns a format shows."""

from emotune.report.columns import Column, Table


def titles(*rows: dict[str, str]) -> list[str]:
    columns = [Column(key, lambda row, key=key: row[key]) for key in "abc"]
    return [column.title for column in Table([*columns, Column("d", str, formats=("tex",))], rows).columns_in("html")]


def test_columns_that_say_nothing_about_any_row_are_left_out_unless_there_are_no_rows():
    assert titles({"a": "–", "b": "–", "c": "none"}, {"a": "–", "b": "0.0", "c": ""}) == ["a", "b"]
    assert titles() == ["a", "b", "c"]
