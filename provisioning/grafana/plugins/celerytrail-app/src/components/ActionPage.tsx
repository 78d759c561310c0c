import React, { type ReactNode } from 'react';
import { PluginPage } from '@grafana/runtime';
import { Stack } from '@grafana/ui';

interface Props {
  title: string;
  subTitle: string;
  children: ReactNode;
}

/** Draws a page in Grafana's frame: its title, what it is for, and the content below one another. */
export function ActionPage({ title, subTitle, children }: Props) {
  return (
    <PluginPage pageNav={{ text: title, subTitle }}>
      <Stack direction="column" gap={3}>
        {children}
      </Stack>
    </PluginPage>
  );
}
