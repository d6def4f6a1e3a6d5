"""A team's own blocks of prefect-aws say how a bucket is reached; Flywheel's documents only name them."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect_aws import AwsClientParameters, AwsCredentials, MinIOCredentials, S3Bucket
from pydantic import SecretStr, ValidationError

from blocks import FlywheelWorkspace
from flywheel.errors import FlywheelError
from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import StorageSpec
from flywheel.workspace import Workspace

SECRET = "planted-minio-password"
AT = "http://127.0.0.1:9000"


@pytest.fixture(scope="module", autouse=True)
def _saved(prefect_server: None) -> None:
    elsewhere = AwsClientParameters(endpoint_url=AT)
    minio = MinIOCredentials(
        minio_root_user="who", minio_root_password=SecretStr(SECRET), aws_client_parameters=elsewhere
    )
    minio.save("team")
    S3Bucket(bucket_name="lake", bucket_folder="a/b", credentials=minio).save("team-bucket")
    AwsCredentials(
        aws_access_key_id="AKIA", aws_secret_access_key=SecretStr(SECRET), region_name="eu-west-1"
    ).save("team")  # fmt: skip


def options(root: str, block: str) -> dict[str, str]:
    storage = StorageMap((StorageSpec(prefix="s3://ours", root=root, block=block),))
    return {name: value for name, value in storage.resolve("s3://ours/x").options.items() if name.startswith("AWS_")}


@pytest.mark.parametrize("block", ["minio-credentials/team", "s3-bucket/team-bucket"])
def test_a_bucket_that_is_not_amazons(block: str) -> None:
    assert options("s3://lake/a/b/c", block) == {
        "AWS_ENDPOINT_URL": AT,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "who",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def test_amazons_own() -> None:
    assert options("s3://lake", "aws-credentials/team") == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-west-1",
    }


def test_another_bucket_than_the_blocks() -> None:
    with pytest.raises(FlywheelError, match=r"is about s3://lake/a/b, and s3://lake/a/bc is elsewhere"):
        options("s3://lake/a/bc", "s3-bucket/team-bucket")


def test_a_block_that_is_not_there() -> None:
    with pytest.raises(FlywheelError, match="no block aws-credentials/nobody on the Prefect server at http"):
        options("s3://lake", "aws-credentials/nobody")


def test_the_lakes_own_credentials(tmp_path: Path) -> None:
    """They stay in their block: neither the workspace nor its block repeats them."""
    workspace = Workspace(home=tmp_path, lake_uri="s3://lake/a", s3_block="minio-credentials/team")
    block = FlywheelWorkspace.of(workspace)
    assert SECRET not in block.model_dump_json()
    assert block.workspace().storage().resolve("s3://lake/a/t").options["AWS_SECRET_ACCESS_KEY"] == SECRET


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"block": "aws-credentials/team", "access_key_id": "AKIA"}, "leave them out here"),
        ({"block": "secret/team"}, "write aws-credentials/NAME, minio-credentials/NAME or s3-bucket/NAME"),
        ({"block": "s3-bucket/../x"}, "write aws-credentials/NAME"),
    ],
)
def test_what_a_storage_can_not_say(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        StorageSpec(prefix="s3://ours", root="s3://lake", **fields)
