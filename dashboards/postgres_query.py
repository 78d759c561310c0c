"""A query of the Postgres data source. The SDK has types for many data sources, but none for SQL."""

from __future__ import annotations

from typing import Literal

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef

from celerytrail.dashboards.sql_files import sql_text
from celerytrail.dashboards.uids import DATA_SOURCE, DATA_SOURCE_TYPE

Format = Literal["table", "time_series"]


class PostgresQuery(Dataquery):
    """What Grafana keeps of one query: the text, and how rows become frames."""

    def __init__(self, sql: str, *, format: Format, ref_id: str) -> None:
        self.sql = sql
        self.format = format
        self.ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        """Return the target as classic dashboard JSON holds it."""
        return {
            "refId": self.ref_id,
            "datasource": {"type": DATA_SOURCE_TYPE, "uid": DATA_SOURCE},
            "editorMode": "code",
            "rawQuery": True,
            "rawSql": self.sql,
            "format": self.format,
        }


class QueryFile(Builder[PostgresQuery]):
    """The builder that panels take: the query in ``queries/<folder>/<name>.sql``."""

    def __init__(
        self, folder: str, name: str, *, format: Format = "table", ref_id: str = "A"
    ) -> None:
        self._query = PostgresQuery(sql_text(folder, name), format=format, ref_id=ref_id)

    def build(self) -> PostgresQuery:
        """Return the query."""
        return self._query


def data_source() -> DataSourceRef:
    """Return the reference to the provisioned data source."""
    return DataSourceRef(type_val=DATA_SOURCE_TYPE, uid=DATA_SOURCE)
