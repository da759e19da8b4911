/** Names of headers and wording as the configuration has them by default. */
export const HEADER_NAMES = {
  userId: 'x-user-id',
  userRoles: 'x-user-roles',
  deviceTrust: 'x-device-trust',
  callerService: 'x-caller-service',
  callerId: 'x-caller-spiffe-id',
  obligations: 'x-portcullis-obligations',
}
export const WORDING = { stepUpStatus: 401, acrValues: ['mfa'], realm: '', showMessages: false } as const
