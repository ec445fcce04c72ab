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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("H200", "h200-sxm"),
        ("B300", "b300-sxm"),
        ("H20", "h20-sxm"),
        # as the driver names them
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("NVIDIA B200", "b200-sxm"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000"),
        ("AMD Instinct MI355X", "mi355x"),
        # as submissions and runners do
        ("H200-SXM-141GB-CTS", "h200-sxm"),
        ("H100-SXM-80GB", "h100-sxm"),
        ("GB200 NVL72", "gb200"),
        ("L40S", "l40s"),
    ],
)
def test_an_accelerators_name_may_say_less_than_its_entrys(name, meant):
    assert entry_named("accelerators", name)["id"] == meant


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("H100", "more than one accelerator; name h100-pcie or h100-sxm"),
        ("H200 NVL", "no entry"),
        ("H20-3e", "no entry"),
        ("NVIDIA A100-SXM4-40GB", "no entry"),
        ("L40", "no entry"),  # began with L4's name, and was taken for it
        ("A4000", "no entry"),
        ("NVIDIA", "no entry"),
    ],
)
def test_another_board_is_not_the_entry_that_it_is_called_like(name, words):
    with pytest.raises(ValueError, match=words):
        entry_named("accelerators", name)
