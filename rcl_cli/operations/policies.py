"""Project policies: who may copy a project's models. Kept and shown, not applied: the store has one user."""

from __future__ import annotations

import json
from typing import Any

from rcl_cli.context import Context
from rcl_cli.errors import (
    InvalidPolicyRevisionId,
    MalformedPolicyDocument,
    ResourceAlreadyExists,
    ResourceNotFound,
)
from rcl_cli.operations import pagination
from rcl_cli.operations.resources import find_project
from rcl_cli.store import policies

_PAGE = 5
_ACTION = "rekognition:CopyProjectVersion"
_NEEDED = ("Effect", "Principal", "Action", "Resource")
_FORBIDDEN = ("NotPrincipal", "NotAction", "NotResource")


def _check_document(text: str) -> None:
    """Check what the service checks of a policy.

    Raises:
        MalformedPolicyDocument: says what is wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedPolicyDocument(f"The policy document is not JSON: {error}.") from error
    statements = document.get("Statement") if isinstance(document, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicyDocument("The policy document must be an object with a Statement.")
    for statement in statements:
        _check_statement(statement)


def _check_statement(statement: Any) -> None:
    if not isinstance(statement, dict):
        raise MalformedPolicyDocument("A statement of the policy document must be an object.")
    for name in _FORBIDDEN:
        if name in statement:
            raise MalformedPolicyDocument(f"A statement of the policy document can't have {name}.")
    for name in _NEEDED:
        if not statement.get(name):
            raise MalformedPolicyDocument(f"A statement of the policy document needs {name}.")
    if statement["Effect"] not in ("Allow", "Deny"):
        raise MalformedPolicyDocument("Effect in the policy document must be Allow or Deny.")
    if statement["Action"] not in (_ACTION, [_ACTION]):
        raise MalformedPolicyDocument(f"Action in the policy document must be {_ACTION}.")


def put_project_policy(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    """Make a policy, or replace the revision that the caller has seen."""
    name, seen = params["PolicyName"], params.get("PolicyRevisionId")
    with context.database.write() as db:
        project = find_project(db, params["ProjectArn"])
        _check_document(params["PolicyDocument"])
        policy = policies.by_name(db, project.id, name)
        if policy is not None and seen is None:
            raise ResourceAlreadyExists(
                f"The project {project.name} already has a policy {name}: give its PolicyRevisionId to replace it."
            )
        _check_revision(policy, name, seen)
        revision_id = context.new_nonce()
        policies.put(db, project.id, name, params["PolicyDocument"], revision_id=revision_id, now_ms=context.now_ms())
    return {"PolicyRevisionId": revision_id}


def _check_revision(policy: policies.Policy | None, name: str, seen: str | None) -> None:
    """Make sure that the caller speaks of the policy as it is.

    Raises:
        InvalidPolicyRevisionId: it has changed since, or never was.
    """
    if seen is not None and (policy is None or policy.revision_id.lower() != seen.lower()):
        raise InvalidPolicyRevisionId(f"{seen} is not the current revision of the policy {name}.")


def list_project_policies(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    limit = params.get("MaxResults", _PAGE)
    after = pagination.decode("ListProjectPolicies", params, int)
    with context.database.read() as db:
        project = find_project(db, params["ProjectArn"])
        found = policies.page(db, project.id, after, limit + 1)
    response: dict[str, Any] = {
        "ProjectPolicies": [
            {
                "ProjectArn": project.arn,
                "PolicyName": policy.name,
                "PolicyRevisionId": policy.revision_id,
                "PolicyDocument": policy.document,
                "CreationTimestamp": policy.created_ms / 1000,
                "LastUpdatedTimestamp": policy.updated_ms / 1000,
            }
            for policy in found[:limit]
        ]
    }
    if len(found) > limit:
        response["NextToken"] = pagination.encode("ListProjectPolicies", params, found[limit - 1].id)
    return response


def delete_project_policy(context: Context, params: dict[str, Any]) -> dict[str, Any]:
    name = params["PolicyName"]
    with context.database.write() as db:
        project = find_project(db, params["ProjectArn"])
        policy = policies.by_name(db, project.id, name)
        if policy is None:
            raise ResourceNotFound(f"The project {project.name} has no policy named {name}.")
        _check_revision(policy, name, params.get("PolicyRevisionId"))
        policies.delete(db, policy.id)
    return {}
