import { css } from '@emotion/css';
import React from 'react';
import { type GrafanaTheme2 } from '@grafana/data';
import { useStyles2 } from '@grafana/ui';
import { visible } from '../wording';

/**
 * Shows a name that came from outside, so that it cannot be taken for another.
 *
 * Spaces are kept, characters without a look of their own are written out, and the direction of its
 * letters does not reach beyond it.
 */
export function Name({ children }: { children: string }) {
  const styles = useStyles2(getStyles);
  return <bdi className={styles.name}>{visible(children)}</bdi>;
}

const getStyles = (theme: GrafanaTheme2) => ({
  name: css({
    fontFamily: theme.typography.fontFamilyMonospace,
    fontSize: '0.95em',
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
  }),
});
