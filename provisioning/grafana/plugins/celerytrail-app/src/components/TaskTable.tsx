import React, { useMemo } from 'react';
import { type CellProps, type Column, InteractiveTable } from '@grafana/ui';
import { dashboardAddress } from '../dashboards';
import { type Deployment } from '../deployment';
import { DashboardLink } from './DashboardLink';
import { Name } from './Name';

type Row = Record<string, string | null | undefined>;

interface Props {
  deployment: Deployment;
  /** The rows' keys in the order of columns, each with what stands above it. */
  columns: Record<string, string>;
  /** The columns with ids of tasks, which lead to the Task dashboard. */
  links: string[];
  rows: Row[];
}

const ROWS_A_PAGE = 25;

/** Lists tasks, 25 a page. */
export function TaskTable({ deployment, columns, links, rows }: Props) {
  const drawn = useMemo<Array<Column<Row>>>(
    () =>
      Object.entries(columns).map(([id, header]) => ({
        id,
        header,
        cell: ({ row }: CellProps<Row, void>) => cellOf(deployment, row.original[id], links.includes(id)),
      })),
    [deployment, columns, links]
  );
  const numbered = useMemo(() => rows.map((row, number) => ({ ...row, number: String(number) })), [rows]);
  return (
    <InteractiveTable
      columns={drawn}
      data={numbered}
      getRowId={(row) => row.number ?? ''}
      pageSize={rows.length > ROWS_A_PAGE ? ROWS_A_PAGE : 0}
    />
  );
}

function cellOf(deployment: Deployment, value: string | null | undefined, isLink: boolean) {
  if (value === null || value === undefined || value === '') {
    return '–';
  }
  return isLink ? (
    <DashboardLink address={dashboardAddress('task', deployment, { task_id: value })}>{value}</DashboardLink>
  ) : (
    <Name>{value}</Name>
  );
}
