import { css } from '@emotion/css';
import React from 'react';
import { type GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';

interface Props {
  /** From `dashboardAddress`. */
  address: string;
  children: string;
}

/**
 * Links to a dashboard.
 *
 * A plain link: those of @grafana/ui decode an address before they use it, so that a queue named `a&b`
 * would become two parameters. Grafana takes clicks on plain links too, without loading the page anew.
 */
export function DashboardLink({ address, children }: Props) {
  const styles = useStyles2(getStyles);
  return (
    <a href={address} className={styles.link}>
      {children}
    </a>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  link: css({
    color: theme.colors.text.link,
    overflowWrap: 'anywhere',
    '&:hover, &:focus-visible': { textDecoration: 'underline' },
  }),
});
