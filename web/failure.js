/** What cannot be decoded: the message is one line that says what was found and what was expected. */
export class CrayError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "CrayError";
  }
}

/**
 * @param {unknown} condition
 * @param {string} complaint
 * @returns {asserts condition}
 * @throws {CrayError} the complaint, unless the condition holds
 */
export function check(condition, complaint) {
  if (!condition) throw new CrayError(complaint);
}
