"""The doors that a command line may ask for."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from rcl_cli import profiles
from rcl_cli.cli.terminal import say

if TYPE_CHECKING:
    import argparse

    from rcl_cli.cli.aws.paging import Call
    from rcl_cli.context import Context


class Settings:
    """The doors to the service that a command line may ask for; made when they are needed."""

    @cache  # noqa: B019 - one Settings lives as long as the process
    def context(self, region: str | None = None) -> Context:
        """The local store."""
        from rcl_cli.context import make_context

        return make_context(region=region)

    def connect(self, values: argparse.Namespace) -> Call:
        """The `Call` door: the local service, or another one where an endpoint is given.

        Raises:
            ProfileError: the profile that was asked for is not there.
        """
        profiles.demand(os.environ, values.profile)
        if values.endpoint_url:
            from rcl_cli.cli.aws.remote import make_call

            return make_call(values)
        from rcl_cli.operations.invoke import invoke

        context = self.context(values.region)
        return traced(partial(invoke, context)) if values.debug else partial(invoke, context)


def traced(call: Call) -> Call:
    """A door that tells stderr who goes through it."""

    def tracing(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        import reprlib

        began = time.monotonic()
        say(f"debug: {operation} {reprlib.repr(dict(params))}", err=True)
        try:
            return call(operation, params)
        finally:
            failed = sys.exc_info()[1]
            outcome = f"{type(failed).__name__}: {failed}" if failed else "done"
            milliseconds = (time.monotonic() - began) * 1000
            say(f"debug: {operation} {outcome} after {milliseconds:.0f} ms", err=True)

    return tracing
