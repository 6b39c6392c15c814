/**
 * Which of the plans that Python answers is shown. Pure.
 *
 * @typedef {{summary: string, problem: string, lost: string[], choice: string, opening?: boolean}} Plan
 *   choice: what is chosen, as Python reads it; opening: it was asked for when the tab opened, not by a choice
 */

export class Plans {
  /** @param {Plan} first @param {() => void} again has what is chosen planned anew, as when the tab opens */
  constructor(first, again) {
    this.current = first;
    this.again = again;
    this.chosen = false; // whether a choice has been answered
    this.overtaken = false; // whether the opening was answered after that
  }

  /**
   * Takes an answer; whether it is shown. That to the tab's opening may come after that to a newer choice, which stays
   * and, unless it cannot be run, is planned anew.
   * @param {Plan} plan
   */
  take(plan) {
    if (plan.opening && this.chosen && plan.choice !== this.current.choice) {
      if (!this.overtaken && this.current.choice) this.again();
      this.overtaken = true;
      return false;
    }
    this.chosen ||= !plan.opening;
    this.current = plan;
    return true;
  }
}
