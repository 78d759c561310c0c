import React, { useEffect, useRef } from 'react';
import { Alert, type AlertVariant, Button, Stack, Text } from '@grafana/ui';
import { type PerformedAction } from '../api/types';
import { DashboardLink } from '../components/DashboardLink';

interface Props {
  action: PerformedAction;
  /** Where to look at what was done: the text of each link with its address. */
  links: Record<string, string>;
  onLookAgain: () => void;
}

const SEVERITY: Record<string, AlertVariant> = { succeeded: 'success', partial: 'warning', failed: 'error' };
const TITLE: Record<string, string> = {
  succeeded: 'Done',
  partial: 'Done in part',
  failed: 'Not done',
  open: 'Not finished yet',
};

/** Says how an action ended. Takes the focus, so that a screen reader goes on from here. */
export function ResultAlert({ action, links, onLookAgain }: Props) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus(), []);
  return (
    <div ref={place} tabIndex={-1}>
      <Alert
        severity={SEVERITY[action.state] ?? 'warning'}
        title={TITLE[action.state] ?? 'It is not known whether it was done'}
      >
        <Stack direction="column" gap={1}>
          <Text>{action.message}</Text>
          {action.duplicate && (
            <Text>The same had been asked for before. This is how that ended; nothing was done twice.</Text>
          )}
          <Text variant="bodySmall" color="secondary">
            Action {action.action_id} of {action.actor}
          </Text>
          <Stack gap={2} wrap="wrap" alignItems="center">
            {action.state === 'failed' && (
              <Button variant="secondary" icon="eye" onClick={onLookAgain}>
                Look again
              </Button>
            )}
            {Object.entries(links).map(([text, address]) => (
              <DashboardLink key={text} address={address}>
                {text}
              </DashboardLink>
            ))}
          </Stack>
        </Stack>
      </Alert>
    </div>
  );
}
