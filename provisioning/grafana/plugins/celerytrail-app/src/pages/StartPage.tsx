import React from 'react';
import { locationUtil } from '@grafana/data';
import { Stack, Text, TextLink } from '@grafana/ui';
import { ActionPage } from '../components/ActionPage';
import { pageAddress } from '../paths';

/** Says what the plugin is for; most people come to its pages from a dashboard. */
export function StartPage() {
  return (
    <ActionPage title="Celerytrail" subTitle="Do something about what the dashboards show">
      <Stack direction="column" gap={1}>
        <Text>
          The buttons of the dashboards act on one task. What touches many tasks has a page here, which shows them first
          and asks for a confirmation.
        </Text>
        <TextLink href={locationUtil.assureBaseUrl(pageAddress('purge'))} inline={false}>
          Purge a queue
        </TextLink>
        <TextLink href={locationUtil.assureBaseUrl(pageAddress('retry-chord'))} inline={false}>
          Retry a whole chord
        </TextLink>
        <TextLink href={locationUtil.assureBaseUrl('/d/celerytrail-audit')} inline={false}>
          Who did what: the Audit dashboard
        </TextLink>
      </Stack>
    </ActionPage>
  );
}
