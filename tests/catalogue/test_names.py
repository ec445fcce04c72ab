"""Names that mean an entry, and names that only look like one."""

import pytest

from facility.catalogue import entry_named


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3-235b-a22b"),
        ("meta-llama/Meta-Llama-3.1-70B-Instruct", "llama-3.1-70b"),
        ("Llama-3.3-70B-Instruct", "llama-3.1-70b"),
        ("DeepSeek-R1-0528", "deepseek-r1"),
        ("DeepSeek-V3.1-Terminus", "deepseek-v3"),
        ("DeepSeek-V3.2-Exp", "deepseek-v3.2"),
        ("DeepSeek-V4-Pro", "deepseek-v4-pro"),
        ("Qwen3.5-397B-A17B", "qwen3.5-397b-a17b"),
    ],
)
def test_releases_of_the_same_network_are_its_entry(name, meant):
    assert entry_named("models", name)["id"] == meant


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DeepSeek-R1-Distill-Llama-70B", "'distill' names another network"),
        ("Qwen3-32B-AWQ", "qwen3-32b with quantised weights"),
        ("nvidia/DeepSeek-R1-0528-FP4", "deepseek-r1 with quantised weights"),
        ("Qwen3-30B-A3B-Coder", "'coder' names another network"),
        ("Qwen3-VL-32B-Instruct", "no entry"),
        ("GLM-4.5V", "'v' names another network"),
        ("Qwen3-32", "no entry"),
    ],
)
def test_variants_with_another_network_are_not(name, words):
    with pytest.raises(ValueError, match=words):
        entry_named("models", name)
