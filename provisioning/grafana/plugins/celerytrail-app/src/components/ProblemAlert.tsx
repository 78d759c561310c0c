import React from 'react';
import { Alert, Button, Stack, Text } from '@grafana/ui';
import { type Problem } from '../api/problem';
import { DashboardLink } from './DashboardLink';

interface Props {
  problem: Problem;
  onLookAgain: () => void;
  /** Given where there is something to send again. */
  onSendAgain?: () => void;
  /** Where it shows what was done, for whoever cannot know it from here. */
  auditAddress?: string;
}

/** Says what went wrong, and offers what can be done about it. */
export function ProblemAlert({ problem, onLookAgain, onSendAgain, auditAddress }: Props) {
  const { title, detail, next, code, requestId } = problem;
  const isDoneUnknown = next === 'send-again' || code === 'confirmation_used';
  return (
    <Alert severity={next === 'none' ? 'error' : 'warning'} title={title}>
      <Stack direction="column" gap={1} alignItems="flex-start">
        {detail && <Text>{detail}</Text>}
        {requestId && (
          <Text variant="bodySmall" color="secondary">
            Request {requestId}
          </Text>
        )}
        <Stack gap={2} wrap="wrap" alignItems="center">
          {next === 'send-again' && onSendAgain && (
            <Button variant="secondary" icon="sync" onClick={onSendAgain} tooltip="It is done once at most">
              Send it again
            </Button>
          )}
          <Button variant="secondary" icon="eye" onClick={onLookAgain}>
            Look again
          </Button>
          {isDoneUnknown && auditAddress && (
            <DashboardLink address={auditAddress}>Open the Audit dashboard</DashboardLink>
          )}
        </Stack>
      </Stack>
    </Alert>
  );
}
