"""An attempt to sign in is bound to the browser."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from opa import RefusedCredentialError
from opa.plugins.access_sessions.oidc.flow import LIFETIME, Kept, begin, resume

NOW = 1_800_000_000.7


def test_the_browser_that_has_begun_resumes_it_with_the_same_values() -> None:
    kept, flow = begin("acme", "/orders?a=b", None, NOW)
    again = Kept.from_text(str(kept))
    assert again == kept
    assert resume("acme", flow.state, again, NOW + LIFETIME - 1) == flow
    assert len({flow.state, flow.nonce, flow.verifier, flow.challenge, kept.secret}) == 5
    assert len(flow.verifier) == 43


def test_each_attempt_has_values_of_its_own() -> None:
    first, one = begin("acme", "", None, NOW)
    second, other = begin("acme", "", first, NOW)
    stranger, third = begin("acme", "", None, NOW)
    assert first.secret == second.secret != stranger.secret
    assert len({flow.nonce for flow in (one, other, third)}) == 3
    assert len({flow.verifier for flow in (one, other, third)}) == 3
    assert resume("acme", one.state, second, NOW) == one


def test_an_attempt_is_resumed_in_its_own_browser_and_in_time_alone() -> None:
    kept, flow = begin("acme", "", None, NOW)
    stranger, _ = begin("acme", "", None, NOW)
    for provider, state, browser, now in (
        ("acme", flow.state, None, NOW),
        ("acme", flow.state, stranger, NOW),
        ("other", flow.state, kept, NOW),
        ("acme", flow.state, kept, NOW + LIFETIME + 1),
        ("acme", flow.state, kept, NOW - LIFETIME - 1),
        ("acme", flow.state[:-1] + "_", kept, NOW) if flow.state[-1] != "_" else ("acme", "", kept, NOW),
        ("acme", flow.state + "\n", kept, NOW),
        ("acme", flow.state.replace(".18", ".19"), kept, 1_900_000_000),
    ):
        with pytest.raises(RefusedCredentialError):
            resume(provider, state, browser, now)


@hypothesis.given(strategies.text(max_size=200))
def test_any_text_is_a_cookie_or_none(text: str) -> None:
    assert Kept.from_text(text) is None
    kept, _ = begin("acme", "", None, NOW)
    with pytest.raises(RefusedCredentialError):
        resume("acme", text, kept, NOW)


@pytest.mark.parametrize("back", ["!", "=", "/w", "_w", "A"])
def test_a_cookie_whose_path_is_none_is_none(back: str) -> None:
    assert Kept.from_text(f"{'A' * 43}.{'A' * 22}.{back}") is None
