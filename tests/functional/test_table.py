"""`--output table` against transcripts of the aws CLI and its own table formatter."""

from __future__ import annotations

import argparse
import io
from typing import Any

import jmespath
import pytest
from awscli.formatter import TableFormatter
from awscli.table import ColorizedStyler, MultiTable, Styler
from hypothesis import given, settings
from hypothesis import strategies as st

from rcl_cli.cli.aws.params import PlainError
from rcl_cli.cli.aws.table import as_table

ARN = "arn:aws:rekognition:us-east-1:123456789012:project"
TRAIN = {
    "CreationTimestamp": "2023-07-22T04:26:43.500000+00:00",
    "DatasetType": "TRAIN",
    "DatasetArn": f"{ARN}/my_project/dataset/train/1690000003000",
    "Status": "CREATE_COMPLETE",
    "StatusMessage": "The dataset is created.",
    "StatusMessageCode": "SUCCESS",
}
PROJECTS = {
    "ProjectDescriptions": [
        {
            "ProjectArn": f"{ARN}/my_project/1690000000000",
            "CreationTimestamp": "2023-07-22T04:26:40.123000+00:00",
            "Status": "CREATED",
            "Datasets": [TRAIN],
            "Feature": "CUSTOM_LABELS",
        },
        {
            "ProjectArn": f"{ARN}/second/1690000001000",
            "CreationTimestamp": "2023-07-22T04:26:41+00:00",
            "Status": "CREATING",
            "Datasets": [],
        },
    ]
}
TITLE_ONLY = """\
------------------
|DescribeProjects|
+----------------+
"""

# What the aws CLI 2.36.7 printed.
TRANSCRIPTS: list[tuple[str, str, Any, str]] = [
    (
        "nested",
        "DescribeProjects",
        PROJECTS,
        """\
------------------------------------------------------------------------------------------------------------------------
|                                                   DescribeProjects                                                   |
+----------------------------------------------------------------------------------------------------------------------+
||                                                 ProjectDescriptions                                                ||
|+-----------------------+--------------------------------------------------------------------------------------------+|
||  CreationTimestamp    |  2023-07-22T04:26:40.123000+00:00                                                          ||
||  Feature              |  CUSTOM_LABELS                                                                             ||
||  ProjectArn           |  arn:aws:rekognition:us-east-1:123456789012:project/my_project/1690000000000               ||
||  Status               |  CREATED                                                                                   ||
|+-----------------------+--------------------------------------------------------------------------------------------+|
|||                                                     Datasets                                                     |||
||+-------------------+----------------------------------------------------------------------------------------------+||
|||  CreationTimestamp|  2023-07-22T04:26:43.500000+00:00                                                            |||
|||  DatasetArn       |  arn:aws:rekognition:us-east-1:123456789012:project/my_project/dataset/train/1690000003000   |||
|||  DatasetType      |  TRAIN                                                                                       |||
|||  Status           |  CREATE_COMPLETE                                                                             |||
|||  StatusMessage    |  The dataset is created.                                                                     |||
|||  StatusMessageCode|  SUCCESS                                                                                     |||
||+-------------------+----------------------------------------------------------------------------------------------+||
||                                                 ProjectDescriptions                                                ||
|+------------------------+-------------------------------------------------------------------------------------------+|
||  CreationTimestamp     |  2023-07-22T04:26:41+00:00                                                                ||
||  Feature               |                                                                                           ||
||  ProjectArn            |  arn:aws:rekognition:us-east-1:123456789012:project/second/1690000001000                  ||
||  Status                |  CREATING                                                                                 ||
|+------------------------+-------------------------------------------------------------------------------------------+|
""",
    ),
    ("empty list", "DescribeProjects", {"ProjectDescriptions": []}, TITLE_ONLY),
    (
        "one member",
        "CreateProject",
        {"ProjectArn": f"{ARN}/my_project/1690000000000"},
        """\
-----------------------------------------------------------------------------------------------
|                                        CreateProject                                        |
+------------+--------------------------------------------------------------------------------+
|  ProjectArn|  arn:aws:rekognition:us-east-1:123456789012:project/my_project/1690000000000   |
+------------+--------------------------------------------------------------------------------+
""",
    ),
    (
        "headings",
        "ListTagsForResource",
        {"Tags": {"Dept": "Eng", "A": "1"}},
        """\
---------------------
|ListTagsForResource|
+-------------------+
||      Tags       ||
|+-----+-----------+|
||  A  |   Dept    ||
|+-----+-----------+|
||  1  |  Eng      ||
|+-----+-----------+|
""",
    ),
    (
        "texts",
        "ListDatasetEntries",
        {"DatasetEntries": ['{"source-ref":"s3://b/k.jpg"}', '{"source-ref":"s3://b/k2.jpg"}']},
        """\
--------------------------------------
|         ListDatasetEntries         |
+------------------------------------+
||          DatasetEntries          ||
|+----------------------------------+|
||  {"source-ref":"s3://b/k.jpg"}   ||
||  {"source-ref":"s3://b/k2.jpg"}  ||
|+----------------------------------+|
""",
    ),
    ("text", "DescribeProjects", "x", TITLE_ONLY),
    ("number", "DescribeProjects", 3.5, TITLE_ONLY),
    ("true", "DescribeProjects", True, TITLE_ONLY),
    *((repr(nothing), "DescribeProjects", nothing, "") for nothing in (None, "", 0, False, [], {})),
    ("only an empty list", "DescribeProjects", [[]], TITLE_ONLY.rsplit("+", 2)[0]),
    (
        "wide characters",
        "DescribeProjects",
        ["日本語", "é…"],  # é and … are of ambiguous width: two columns each
        """\
------------------
|DescribeProjects|
+----------------+
|  日本語        |
|  é…          |
+----------------+
""",
    ),
    (
        "empty and null",
        "DescribeProjects",
        {"n": 2, "e": "", "z": None},
        """\
--------------------
| DescribeProjects |
+---+-----+--------+
| e |  n  |   z    |
+---+-----+--------+
|   |  2  |  None  |
+---+-----+--------+
""",
    ),
]


@pytest.mark.parametrize(("title", "document", "drawn"), [c[1:] for c in TRANSCRIPTS], ids=[c[0] for c in TRANSCRIPTS])
def test_what_the_aws_cli_printed(title: str, document: Any, drawn: str) -> None:
    assert as_table(document, title) == drawn


# What the aws CLI 2.36.7 printed on terminals of 200 columns and, in colour through a pager, of 60.
ON_TERMINALS = [
    (
        200,
        False,
        """\
---------------------------------------------------------------------------------
|                               DescribeProjects                                |
+-------------------------------------------------------------------------------+
|                                  ProjectArn                                   |
+-------------------------------------------------------------------------------+
|  arn:aws:rekognition:us-east-1:123456789012:project/my_project/1690000000000  |
+-------------------------------------------------------------------------------+
||                                      D                                      ||
|+---------------------------------------+----------------+--------------------+|
||           CreationTimestamp           |  DatasetType   |      Status        ||
|+---------------------------------------+----------------+--------------------+|
||  2023-07-22T04:26:43.500000+00:00     |  TRAIN         |  CREATE_COMPLETE   ||
|+---------------------------------------+----------------+--------------------+|
|                               DescribeProjects                                |
+-------------------------------------------------------------------------------+
|                                  ProjectArn                                   |
+-------------------------------------------------------------------------------+
|  second                                                                       |
+-------------------------------------------------------------------------------+
""",
    ),
    (
        60,
        True,
        """\
-----------------------------------------------------------------------------------------------
|                                      DescribeProjects                                       |
+------------+--------------------------------------------------------------------------------+
|  <ProjectArn>|  <arn:aws:rekognition:us-east-1:123456789012:project/my_project/1690000000000>   |
+------------+--------------------------------------------------------------------------------+
!|                                             D                                             |!
!+--------------------------------+----------------------------------------------------------+!
!|  <CreationTimestamp>             |  <2023-07-22T04:26:43.500000+00:00>                        |!
!|  <DatasetType>                   |  <TRAIN>                                                   |!
!|  <Status>                        |  <CREATE_COMPLETE>                                         |!
!+--------------------------------+----------------------------------------------------------+!
|                                      DescribeProjects                                       |
+-----------------------------------------------------+---------------------------------------+
|  <ProjectArn>                                         |  <second>                               |
+-----------------------------------------------------+---------------------------------------+
""",
    ),
]


@pytest.mark.parametrize(("width", "colour", "drawn"), ON_TERMINALS)
def test_on_a_terminal(width: int, colour: bool, drawn: str) -> None:
    dataset = {name: TRAIN[name] for name in ("CreationTimestamp", "DatasetType", "Status")}
    projects = [{"ProjectArn": f"{ARN}/my_project/1690000000000", "D": [dataset]}, {"ProjectArn": "second", "D": []}]
    for mark, code in {"!": "\x1b[2m\x1b[33m|\x1b[0m", "<": "\x1b[1m\x1b[34m", ">": "\x1b[0m"}.items():
        drawn = drawn.replace(mark, code)
    # That there is a reset behind all that is written, the oracle below holds.
    reset = "\x1b[0m"
    found = as_table(projects, "DescribeProjects", width=width, colour=colour)
    assert found.replace(reset, "") == drawn.replace(reset, "")


@pytest.mark.parametrize("document", [[[1], [1, 2]], [[{"a": 1}], []], [{"a": 1}, None], [["x", [{"a": 1, "b": 2}]]]])
def test_what_does_not_fit_a_table_is_an_error_as_in_the_aws_cli(document: Any) -> None:
    assert drawn_by_aws(document, "DescribeProjects", 80, False) is None
    with pytest.raises(PlainError):
        as_table(document, "DescribeProjects")


# --- the aws CLI's formatter as the oracle ----------------------------------------------------------------------------


class Resetting(io.StringIO):
    """What colorama makes of stdout for the aws CLI 2 where there are colours: all that is written ends in a reset."""

    def write(self, text: str) -> int:
        return super().write(f"{text}\x1b[0m")


def drawn_by_aws(document: Any, title: str, width: int, colour: bool) -> str | None:
    """What the aws CLI prints; None where it fails."""
    formatter = TableFormatter(argparse.Namespace(color="off", query=None))
    # Made without __init__, which wraps sys.stdout for good.
    styler = object.__new__(ColorizedStyler) if colour else Styler()
    formatter.table = MultiTable(initial_section=False, column_separator="|", styler=styler)
    formatter.table._terminal_width = width
    stream = Resetting() if colour else io.StringIO()
    try:
        formatter._format_response(title, document, stream)
    except (ValueError, TypeError, AttributeError, IndexError):
        return None
    return stream.getvalue()


def drawn_here(document: Any, title: str, width: int, colour: bool) -> str | None:
    try:
        return as_table(document, title, width=width, colour=colour)
    except PlainError:
        return None


def empty_among_maps(document: Any) -> bool:
    """Whether a list of maps holds an empty list or text, which the aws CLI draws if no map has a scalar; rcl fails."""
    if isinstance(document, dict):
        return any(empty_among_maps(value) for value in document.values())
    if not isinstance(document, list) or not document:
        return False
    own = isinstance(document[0], dict) and any(item in ("", []) for item in document)
    return own or any(empty_among_maps(item) for item in document)


NAMES = st.sampled_from(["Status", "ProjectArn", "D", "StatusMessageCode", "Größe", "標籤", ""]) | st.text(max_size=6)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=60)
    | st.text("abc 日本é…\u0301Ω|", max_size=30)
    | st.sampled_from([ARN, "2023-07-22T04:26:41+00:00", "CREATE_COMPLETE", ""])
)
MAPS = st.dictionaries(NAMES, SCALARS, max_size=6)
ROWS = st.integers(0, 4).flatmap(lambda size: st.lists(st.lists(SCALARS, min_size=size, max_size=size), max_size=4))
DOCUMENTS = st.recursive(
    SCALARS | MAPS | ROWS | st.lists(SCALARS, max_size=5) | st.lists(MAPS, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.lists(st.dictionaries(NAMES, inner | SCALARS, max_size=4), max_size=4)
    ),
    max_leaves=10,
)
TITLES = st.sampled_from(["TagResource", "DescribeProjects", "StopProjectVersion"])
WIDTHS = st.sampled_from([80, 80, 0, 30, 120, 1000]) | st.integers(0, 300)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, TITLES, WIDTHS, st.booleans())
def test_tables_are_the_aws_clis(document: Any, title: str, width: int, colour: bool) -> None:
    ours = drawn_here(document, title, width, colour)
    if ours is None and empty_among_maps(document):
        return
    assert ours == drawn_by_aws(document, title, width, colour)


DATASETS = st.fixed_dictionaries(
    {"DatasetType": st.sampled_from(["TRAIN", "TEST"])}, optional={"Status": SCALARS, "CreationTimestamp": SCALARS}
)
PROJECT = st.fixed_dictionaries(
    {"ProjectArn": st.text(max_size=90)}, optional={"Status": SCALARS, "Datasets": st.lists(DATASETS, max_size=3)}
)
QUERIES = [
    "@",
    "ProjectDescriptions",
    "ProjectDescriptions[0]",
    "ProjectDescriptions[].ProjectArn",
    "ProjectDescriptions[].[ProjectArn, Status]",
    "ProjectDescriptions[].{Arn: ProjectArn, First: Datasets[0]}",
    "ProjectDescriptions[].{Arn: ProjectArn, Sets: Datasets[].DatasetType}",
    "ProjectDescriptions[].Datasets[]",
    "ProjectDescriptions[*].Datasets",
    "ProjectDescriptions[*].Datasets[*].DatasetType",
    "ProjectDescriptions[].[ProjectArn, Datasets]",
    "ProjectDescriptions[].[Datasets, ProjectArn]",
    "[ProjectDescriptions[0], NextToken]",
    "{count: length(ProjectDescriptions), last: ProjectDescriptions[-1].Status}",
    "length(ProjectDescriptions)",
    "NextToken",
]


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {"ProjectDescriptions": st.lists(PROJECT, max_size=4)}, optional={"NextToken": st.text(max_size=90)}
    ),
    st.sampled_from(QUERIES),
    WIDTHS,
    st.booleans(),
)
def test_tables_of_queries_are_the_aws_clis(response: Any, query: str, width: int, colour: bool) -> None:
    document = jmespath.search(query, response)
    drawn = drawn_by_aws(document, "DescribeProjects", width, colour)
    assert drawn_here(document, "DescribeProjects", width, colour) == drawn
