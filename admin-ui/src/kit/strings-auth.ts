// The sentences of OAuth2 and mail templates in the collection editor.
export const authOptions = {
  oauth2: {
    title: 'OAuth2',
    on: 'Sign in with an account elsewhere',
    none: 'No provider yet. Without one nobody can sign in this way.',
    add: 'Add provider',
    choose: 'Choose a provider',
    failed: 'The providers could not be loaded.',
    remove: (name: string) => `Remove ${name}`,
    clientId: 'Client id',
    clientSecret: 'Client secret',
    secretKept: 'Leave empty to keep the present one. It is never shown.',
    displayName: 'Name on the button',
    authURL: 'Authorization URL',
    tokenURL: 'Token URL',
    userInfoURL: 'User info URL',
    mapped: 'Fields filled at the first sign-in',
    mappedNames: { id: 'Id', name: 'Name', username: 'User name', avatarURL: 'Picture' } as Record<
      string,
      string
    >,
    nowhere: 'Not kept',
  },
  mails: {
    title: 'Mails',
    names: {
      verificationTemplate: 'Email verification',
      resetPasswordTemplate: 'Password reset',
      confirmEmailChangeTemplate: 'Email change',
      otp: 'One-time code',
      authAlert: 'Sign-in from a new place',
    },
    subject: 'Subject',
    body: 'Body',
    insert: 'Insert',
    preview: 'Preview',
    previewTitle: (name: string) => `Preview of ${name}`,
    unknown: (marks: string[]) => `Nothing is put in for ${marks.join(', ')}.`,
  },
};
