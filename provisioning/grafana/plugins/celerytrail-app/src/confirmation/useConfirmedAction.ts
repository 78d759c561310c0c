import { useCallback, useEffect, useState } from 'react';
import { perform, preview, type Target } from '../api/actionApi';
import { type Problem, problemOf } from '../api/problem';
import { type PerformedAction, type Verb } from '../api/types';

/** What was shown, and the leave to do it until the deadline (milliseconds of the epoch). */
export interface Offer<Shown> {
  shown: Shown;
  confirmation: string;
  deadline: number;
}

export type Stage<Shown> =
  | { name: 'looking' }
  | { name: 'not-shown'; problem: Problem }
  | { name: 'offered'; offer: Offer<Shown> }
  | { name: 'sending'; offer: Offer<Shown> }
  | { name: 'not-done'; offer: Offer<Shown>; problem: Problem; reason: string }
  | { name: 'done'; offer: Offer<Shown>; action: PerformedAction };

export interface ConfirmedAction<Shown> {
  stage: Stage<Shown>;
  look: () => void;
  confirm: (offer: Offer<Shown>, reason: string) => void;
}

/**
 * Leads through preview, confirmation and result of one verb on one target.
 *
 * It looks at once. The confirmation that came with what was seen is good once, so somebody who got no
 * answer may send it again: it is done then, or was done before. `target` must keep its identity
 * (`useMemo`), and a component is for one target (give it a `key`).
 */
export function useConfirmedAction<Shown>(verb: Verb, target: Target): ConfirmedAction<Shown> {
  const [stage, setStage] = useState<Stage<Shown>>({ name: 'looking' });
  const [round, setRound] = useState(0);

  useEffect(() => {
    const subscription = preview<Shown>(verb, target).subscribe({
      next: ({ preview: shown, confirmation, expires_in_seconds }) => {
        const deadline = Date.now() + expires_in_seconds * 1000;
        setStage({ name: 'offered', offer: { shown, confirmation, deadline } });
      },
      error: (error: unknown) => setStage({ name: 'not-shown', problem: problemOf(error) }),
    });
    return () => subscription.unsubscribe();
  }, [verb, target, round]);

  const look = useCallback(() => {
    setStage({ name: 'looking' });
    setRound((before) => before + 1);
  }, []);

  const confirm = useCallback(
    (offer: Offer<Shown>, reason: string) => {
      setStage({ name: 'sending', offer });
      // Leaving the page ends a preview, but not this: it was confirmed, and the browser lets it go on.
      perform(verb, { ...target, confirmation: offer.confirmation, ...(reason && { reason }) }).subscribe({
        next: (action) => setStage({ name: 'done', offer, action }),
        error: (error: unknown) => setStage({ name: 'not-done', offer, problem: problemOf(error), reason }),
      });
    },
    [verb, target]
  );

  return { stage, look, confirm };
}
