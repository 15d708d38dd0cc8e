"""Every constraint of the model, broken one at a time by boto3 with its own validation off, over `rcl serve`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from rcl_cli.api.model import Operation, Shape, load
from rcl_cli.api.names import lower_camel
from rcl_cli.api.validate import compiled
from tests.conftest import make_home
from tests.functional.serving import client, serving

# One that fits each pattern of the model.
FITTING = {
    "ProjectName": "p",
    "VersionName": "v",
    "S3Bucket": "bucket",
    "ProjectPolicyName": "policy",
    "ProjectPolicyRevisionId": "0a1b",
    "KmsKeyId": "key",
    "VersionDescription": "text",
    "ProjectArn": "arn:aws:rekognition:us-east-1:123456789012:project/p/1690000000000",
    "DatasetArn": "arn:aws:rekognition:us-east-1:123456789012:project/p/dataset/train/1690000000000",
    "ProjectVersionArn": "arn:aws:rekognition:us-east-1:123456789012:project/p/version/v/1690000000000",
}
WRONG_TYPES: dict[str, Any] = {"integer": "5", "float": "5", "boolean": "yes", "list": {}, "map": [], "structure": []}


def valid(shape: Shape) -> Any:
    """The smallest value that the model allows, with everything required."""
    if shape.type == "structure":
        return {name: valid(shape.members[name]) for name in shape.required}
    if shape.type == "list":
        return [valid(shape.member) for _ in range(int(shape.min or 1))]
    if shape.type == "map":
        return {"k": "v"}
    if shape.type == "string":
        fitting = shape.enum[0] if shape.enum else FITTING.get(shape.name, "x" * int(shape.min or 1))
        assert shape.pattern is None or compiled(shape.pattern).fullmatch(fitting), shape.name
        return fitting
    return {"integer": int(shape.min or 0), "float": float(shape.min or 0), "blob": b"x", "boolean": True}[shape.type]


@dataclass(frozen=True)
class Breach:
    """One constraint of one member of one operation's input, and how to break it."""

    operation: str
    path: tuple[str | int, ...]
    value: Any
    code: str
    says: str

    def __str__(self) -> str:
        return f"{self.operation}.{'.'.join(map(str, self.path))}: {self.says or 'type'}"


def breaches_of(shape: Shape) -> Iterator[tuple[Any, str, str]]:
    """(value, error code, part of the message) for each constraint of a shape."""
    yield WRONG_TYPES.get(shape.type, 5), "SerializationException", ""
    if shape.enum:
        yield "FISH", "ValidationException", "Member must satisfy enum value set: ["
    numeric = shape.type in ("integer", "float")
    word = "value" if numeric else "length"
    if shape.max is not None and shape.type != "map":
        yield too_much(shape), "ValidationException", f"Member must have {word} less than or equal to {int(shape.max)}"
    if shape.min is not None and (shape.min > 0 or numeric):
        yield (
            too_little(shape),
            "ValidationException",
            f"Member must have {word} greater than or equal to {shape.min:g}",
        )
    if shape.pattern:
        broken = next(text for text in misfits(shape) if not compiled(shape.pattern).fullmatch(text))
        yield broken, "ValidationException", "Member must satisfy regular expression pattern: "


def misfits(shape: Shape) -> Iterator[str]:
    """Texts of an allowed length that patterns may not like."""
    length = max(1, int(shape.min or 1))
    yield from (valid(shape)[:-1] + "\N{SNOWMAN}", " " * length, "\n" * length)


def too_much(shape: Shape) -> Any:
    limit = int(shape.max or 0)
    if shape.type == "list":
        return [valid(shape.member) for _ in range(limit + 1)]
    if shape.type in ("integer", "float"):
        return limit + 1
    if shape.type == "blob":
        return b"x" * (limit + 1)
    # Digits at the end of an ARN, and letters of anything else, may be as many as one likes.
    return valid(shape).ljust(limit + 1, "0")


def too_little(shape: Shape) -> Any:
    limit = int(shape.min or 0)
    if shape.type == "list":
        return [valid(shape.member) for _ in range(limit - 1)]
    if shape.type in ("integer", "float"):
        return limit - 1
    return b"" if shape.type == "blob" else valid(shape)[: limit - 1]


def walk(shape: Shape, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Shape]]:
    """Everything inside an input; the keys of a map stand as `key`, its values as `value`."""
    for name, member in shape.members.items():
        yield from descend(member, (*path, name))


def descend(shape: Shape, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Shape]]:
    yield path, shape
    if shape.type == "structure":
        yield from walk(shape, path)
    elif shape.type == "list":
        yield from descend(shape.member, (*path, 0))
    elif shape.type == "map":
        yield (*path, "key"), shape.key
        yield (*path, "value"), shape.value


def breaches(operation: Operation) -> Iterator[Breach]:
    for path, shape in walk(operation.input, ()):
        for value, code, says in breaches_of(shape):
            if path[-1] == "key" and code == "SerializationException":
                continue  # JSON has no other keys
            yield Breach(operation.name, path, value, code, says)
        if shape.type == "structure":
            yield from missing(operation, path, shape)
        if shape.type == "map":
            many = {f"k{number}": "v" for number in range(int(shape.max or 0) + 1)}
            says = f"Member must have length less than or equal to {int(shape.max or 0)}"
            yield Breach(operation.name, path, many, "ValidationException", says)
    yield from missing(operation, (), operation.input)


def missing(operation: Operation, path: tuple[str | int, ...], shape: Shape) -> Iterator[Breach]:
    for name in shape.required:
        yield Breach(operation.name, (*path, name), None, "ValidationException", "Member must not be null")


ALL = [breach for name in load().operations for breach in breaches(load().operation(name))]


def request(operation: Operation, breach: Breach) -> dict[str, Any]:
    """A valid request in which just this constraint is broken; what leads there is put in."""
    params: dict[str, Any] = valid(operation.input)
    place(operation.input, params, breach.path, breach.value)
    return params


def place(shape: Shape, container: Any, path: tuple[str | int, ...], value: Any) -> None:
    step, rest = path[0], path[1:]
    if shape.type == "map":
        container.clear()
        container.update({value: "v"} if step == "key" else {"k": value})
        return
    inner = shape.members[str(step)] if shape.type == "structure" else shape.member
    if not rest:
        if value is None:
            container.pop(step, None)
        else:
            container[step] = value
        return
    if shape.type == "structure" and step not in container:
        container[step] = valid(inner)
    place(inner, container[step], rest, value)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = make_home(tmp_path_factory.mktemp("validation") / "home")
    with serving(home) as (url, _):
        yield url
    home.context.database.close()


@pytest.fixture(scope="module")
def boto(url: str) -> Any:
    return client(url, config={"parameter_validation": False})


BROKEN = [breach for breach in ALL if breach.code == "ValidationException"]
MISTYPED = [breach for breach in ALL if breach.code == "SerializationException"]


@pytest.mark.parametrize("breach", BROKEN, ids=str)
def test_breaking_one_constraint(boto: Any, breach: Breach) -> None:
    params = request(load().operation(breach.operation), breach)
    with pytest.raises(ClientError) as caught:
        boto._make_api_call(breach.operation, params)
    error = caught.value.response["Error"]
    assert error["Code"] == breach.code, error
    detected = re.match(r"(\d+) validation errors? detected: ", error["Message"])
    assert detected
    reports = re.findall(r"at '([^']+)' failed to satisfy constraint: ([^;]+)", error["Message"])
    assert {path for path, _ in reports} == {wire_path(breach.path)}
    assert any(text.startswith(breach.says) for _, text in reports)
    # What is too short for a pattern breaks that as well; nothing else is reported.
    assert len(reports) == int(detected[1]) <= 2


@pytest.mark.parametrize("breach", MISTYPED, ids=str)
def test_a_member_of_another_type(url: str, breach: Breach) -> None:
    """Without boto3, which can't send them."""
    params = request(load().operation(breach.operation), breach)
    body = json.dumps(params, default=lambda blob: base64.b64encode(blob).decode()).encode()
    target = {"X-Amz-Target": f"RekognitionService.{breach.operation}"}
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(url, body, target))
    answer = json.loads(caught.value.read())
    assert (caught.value.code, answer["__type"]) == (400, "SerializationException"), answer


def wire_path(path: tuple[str | int, ...]) -> str:
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"{step + 1}.member")
        elif step == "value":
            parts.append("k")
        else:
            parts.append(step if step == "key" else lower_camel(step))
    return ".".join(parts)


@pytest.mark.parametrize("name", load().operations)
def test_the_valid_request_breaks_nothing(boto: Any, name: str) -> None:
    """Otherwise the tests above would show nothing."""
    try:
        boto._make_api_call(name, valid(load().operation(name).input))
    except ClientError as error:
        assert error.response["Error"]["Code"] not in ("ValidationException", "SerializationException")


def test_no_constraint_is_forgotten() -> None:
    """The model's own count of constraints on what the 23 operations take."""
    inputs = [walk(load().operation(name).input, ()) for name in load().operations]
    shapes = [shape for found in inputs for _, shape in found]
    counted = sum(
        (shape.enum is not None and bool(shape.enum)) + (shape.max is not None) + bool(shape.pattern)
        for shape in shapes
    )
    kinds = ("enum value set", "less than or equal", "regular expression")
    assert sum(any(kind in breach.says for kind in kinds) for breach in ALL) == counted
