import { css } from '@emotion/css';
import React, { type ReactNode } from 'react';
import { type GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';

export interface Figure {
  name: string;
  value: ReactNode;
  /** Drawn in the colour of a warning. */
  alarming?: boolean;
}

/** Shows the few facts that a decision hangs on, side by side and large. */
export function Figures({ figures }: { figures: Figure[] }) {
  const styles = useStyles2(getStyles);
  return (
    <dl className={styles.list}>
      {figures.map(({ name, value, alarming }) => (
        <div key={name} className={styles.figure}>
          <dt className={styles.name}>{name}</dt>
          <dd className={alarming ? styles.alarming : styles.value}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const getStyles = (theme: GrafanaTheme2) => {
  const value = { ...theme.typography.h4, margin: 0, overflowWrap: 'anywhere' as const };
  return {
    list: css({ display: 'flex', flexWrap: 'wrap', gap: theme.spacing(2), margin: 0 }),
    figure: css({
      flex: '1 1 auto',
      minWidth: 140,
      padding: theme.spacing(2),
      background: theme.colors.background.secondary,
      borderRadius: theme.shape.radius.default,
    }),
    name: css({ ...theme.typography.bodySmall, color: theme.colors.text.secondary, fontWeight: 400 }),
    value: css(value),
    alarming: css({ ...value, color: theme.colors.warning.text }),
  };
};
