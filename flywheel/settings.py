"""Where settings come from: what the caller gives, then ``FLYWHEEL_*`` variables, then ``flywheel.toml``."""

from __future__ import annotations

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

CONFIG_FILE = "flywheel.toml"


class Settings(BaseSettings):
    """Base of all settings; the file is looked for in the working directory."""

    model_config = SettingsConfigDict(
        env_prefix="FLYWHEEL_", toml_file=CONFIG_FILE, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
