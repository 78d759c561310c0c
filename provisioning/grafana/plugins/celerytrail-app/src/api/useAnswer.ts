import { useCallback, useEffect, useState } from 'react';
import { type Observable } from 'rxjs';
import { type Problem, problemOf } from './problem';

/** One question to the API: not answered yet (both null), answered, or refused. */
export interface Asked<Answer> {
  answer: Answer | null;
  problem: Problem | null;
  askAgain: () => void;
}

interface Outcome<Answer> {
  answer: Answer | null;
  problem: Problem | null;
  question: () => Observable<Answer>;
  round: number;
}

/**
 * Asks when the page opens, when the question changes, and when told to.
 *
 * `question` must keep its identity for as long as it means the same (`useCallback`).
 */
export function useAnswer<Answer>(question: () => Observable<Answer>): Asked<Answer> {
  const [outcome, setOutcome] = useState<Outcome<Answer> | null>(null);
  const [round, setRound] = useState(0);

  useEffect(() => {
    const subscription = question().subscribe({
      next: (answer) => setOutcome({ answer, problem: null, question, round }),
      error: (error: unknown) => setOutcome({ answer: null, problem: problemOf(error), question, round }),
    });
    return () => subscription.unsubscribe();
  }, [question, round]);

  const askAgain = useCallback(() => setRound((before) => before + 1), []);
  // What was answered to an earlier question must not be shown as the answer to this one.
  const current = outcome?.question === question && outcome.round === round ? outcome : null;
  return { answer: current?.answer ?? null, problem: current?.problem ?? null, askAgain };
}
