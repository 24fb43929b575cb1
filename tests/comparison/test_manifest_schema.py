"""The JSON schema of a manifest; the tests of comparisons check manifests of every tier."""

import pytest

from jaxnet.comparison import file_checks, tuning
from tests.support.json_schema import KINDS, SCHEMA, faults_of


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"networks": "12"}, "manifest.networks is no"),
        ({"networks": True}, "manifest.networks is no"),
        ({"format": 2}, "manifest.format is 2"),
        ({"examples": [1, 2]}, "manifest.examples has 2 items"),
        ({"seal": "0"}, "manifest.seal is '0'"),
        ({"protocol": {"tier": "grid"}}, "manifest.protocol.tier is 'grid'"),
        ({"protocol": {}}, "manifest.protocol: report_seeds is missing"),
        ({"searches": {"sgd": {"tier": "lr"}}}, "manifest.searches.sgd: recipe is missing"),
        ({"warnings": [3]}, "manifest.warnings[0] is no"),
    ],
)
def test_another_manifest_is_not(change, fault):
    faults = faults_of(change, SCHEMA)
    assert any(text.startswith(fault) for text in faults), faults


def test_what_readers_need_the_schema_requires():
    for types, schema in (
        (file_checks.MANIFEST, SCHEMA),
        (file_checks.PROTOCOL, SCHEMA["properties"]["protocol"]),
    ):
        assert set(types) <= set(schema["required"])
        for name, kinds in types.items():
            entry = schema["properties"][name]
            if "enum" not in entry:
                assert KINDS[entry["type"]] == kinds
            assert entry["description"].endswith(".")
    tiers = SCHEMA["properties"]["protocol"]["properties"]["tier"]["enum"]
    assert sorted(tiers) == sorted(tuning.TRIALS)
