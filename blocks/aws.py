"""Credentials in blocks of prefect-aws, for teams that have theirs there: Flywheel keeps the name of the block only."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from prefect.blocks.core import Block
from prefect.settings import PREFECT_API_URL

from flywheel.errors import FlywheelError
from flywheel.lake.credentials import S3Access

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials, MinIOCredentials

BlockT = TypeVar("BlockT", bound=Block)


def aws_credentials(name: str) -> S3Access:
    """Return what the block ``aws-credentials/NAME`` says; a role that it names is assumed."""
    from prefect_aws import AwsCredentials

    return _of_credentials(_load(AwsCredentials, name))


def minio_credentials(name: str) -> S3Access:
    """Return what the block ``minio-credentials/NAME`` says."""
    from prefect_aws import MinIOCredentials

    return _of_credentials(_load(MinIOCredentials, name))


def s3_bucket(name: str) -> S3Access:
    """Return the credentials in the block ``s3-bucket/NAME``, and the folder that it is about."""
    from prefect_aws import S3Bucket

    block = _load(S3Bucket, name)
    folder = "/".join(["s3:/", block.bucket_name, *filter(None, block.bucket_folder.split("/"))])
    return _of_credentials(block.credentials).model_copy(update={"folder": folder})


def _of_credentials(block: AwsCredentials | MinIOCredentials) -> S3Access:
    from prefect_aws import MinIOCredentials

    endpoint, region = block.aws_client_parameters.endpoint_url, block.region_name
    if isinstance(block, MinIOCredentials):
        return S3Access(
            endpoint_url=endpoint,
            access_key_id=block.minio_root_user,
            secret_access_key=block.minio_root_password,
            region=region,
        )
    # A profile, or a role, is something that only Amazon's own library knows how to follow.
    keys = block.get_boto3_session().get_credentials()
    if keys is None:
        return S3Access(endpoint_url=endpoint, region=region)
    frozen = keys.get_frozen_credentials()
    return S3Access(
        endpoint_url=endpoint,
        access_key_id=frozen.access_key,
        secret_access_key=frozen.secret_key,
        session_token=frozen.token,
        region=region,
    )


def _load(kind: type[BlockT], name: str) -> BlockT:
    try:
        return kind.load(name)  # type: ignore[return-value]
    except ValueError as error:
        slug = kind.get_block_type_slug()
        raise FlywheelError(
            f"no block {slug}/{name} on the Prefect server at {PREFECT_API_URL.value() or 'a temporary one'}",
            next_step=f"save it there, or correct the name: prefect block ls (type {slug})",
        ) from error
