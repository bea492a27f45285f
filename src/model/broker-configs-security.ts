/**
 * Broker keys of Kafka 4.3: TLS, SASL, delegation tokens, principals. Columns: see `config-definition.ts`.
 */
export const BROKER_CONFIGS_SECURITY = `
authorizer.class.name | string |  | * | read-only | no | Class that decides who may do what; empty allows everything.
connection.failed.authentication.delay.ms | int | 100 | 0.. | read-only | no | Wait before a connection that failed to authenticate is closed.
connections.max.reauth.ms | long | 0 | * | read-only | no | Longest time until a client must authenticate again; 0 never.
delegation.token.expiry.check.interval.ms | long | 3600000 | 1.. | read-only | no | Time between two searches for expired delegation tokens.
delegation.token.expiry.time.ms | long | 86400000 | 1.. | read-only | no | Validity of a delegation token until it must be renewed.
delegation.token.max.lifetime.ms | long | 604800000 | 1.. | read-only | no | Longest life of a delegation token, renewals included.
delegation.token.secret.key | password | ~ | * | read-only | no | Secret that signs delegation tokens.
principal.builder.class | class | org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder | * | per-broker | no | Class that turns an authenticated connection into a principal.
sasl.client.callback.handler.class | class | ~ | * | read-only | no | Class that answers SASL callbacks of a client.
sasl.enabled.mechanisms | list | GSSAPI | * | per-broker | no | SASL mechanisms that are offered.
sasl.jaas.config | password | ~ | * | per-broker | no | Login context of SASL connections.
sasl.kerberos.kinit.cmd | string | /usr/bin/kinit | * | per-broker | no | Path of the kinit command.
sasl.kerberos.min.time.before.relogin | long | 60000 | * | per-broker | no | Least time between two Kerberos logins.
sasl.kerberos.principal.to.local.rules | list | DEFAULT | * | per-broker | no | Rules that shorten Kerberos principals to names.
sasl.kerberos.service.name | string | ~ | * | per-broker | no | Kerberos principal that the broker runs as.
sasl.kerberos.ticket.renew.jitter | double | 0.05 | * | per-broker | no | Random part added to the time of a ticket's renewal.
sasl.kerberos.ticket.renew.window.factor | double | 0.8 | * | per-broker | no | Part of a ticket's life after which it is renewed.
sasl.login.callback.handler.class | class | ~ | * | read-only | no | Class that answers SASL callbacks of a login.
sasl.login.class | class | ~ | * | read-only | no | Class that logs in.
sasl.login.connect.timeout.ms | int | ~ | * | read-only | no | Longest wait for a connection to the OAuth provider.
sasl.login.read.timeout.ms | int | ~ | * | read-only | no | Longest wait for an answer of the OAuth provider.
sasl.login.refresh.buffer.seconds | short | 300 | * | per-broker | no | Time before a credential's end by which it is refreshed.
sasl.login.refresh.min.period.seconds | short | 60 | * | per-broker | no | Least time between two refreshes of a credential.
sasl.login.refresh.window.factor | double | 0.8 | * | per-broker | no | Part of a credential's life after which it is refreshed.
sasl.login.refresh.window.jitter | double | 0.05 | * | per-broker | no | Random part added to the time of a credential's refresh.
sasl.login.retry.backoff.max.ms | long | 10000 | * | read-only | no | Longest wait before the OAuth provider is asked again.
sasl.login.retry.backoff.ms | long | 100 | * | read-only | no | First wait before the OAuth provider is asked again.
sasl.mechanism.controller.protocol | string | GSSAPI | * | read-only | no | SASL mechanism between brokers and controllers.
sasl.mechanism.inter.broker.protocol | string | GSSAPI | * | per-broker | no | SASL mechanism between brokers.
sasl.oauthbearer.assertion.algorithm | string | RS256 | i:ES256,RS256 | read-only | no | Algorithm that signs OAuth assertions.
sasl.oauthbearer.assertion.claim.aud | string | ~ | * | read-only | no | Audience claim of OAuth assertions.
sasl.oauthbearer.assertion.claim.exp.seconds | int | 300 | 0..86400 | read-only | no | Validity of OAuth assertions into the future.
sasl.oauthbearer.assertion.claim.iss | string | ~ | * | read-only | no | Issuer claim of OAuth assertions.
sasl.oauthbearer.assertion.claim.jti.include | boolean | false | * | read-only | no | Whether OAuth assertions carry an id of their own.
sasl.oauthbearer.assertion.claim.nbf.seconds | int | 60 | 0..3600 | read-only | no | Validity of OAuth assertions into the past.
sasl.oauthbearer.assertion.claim.sub | string | ~ | * | read-only | no | Subject claim of OAuth assertions.
sasl.oauthbearer.assertion.file | string | ~ | * | read-only | no | File with a ready-made OAuth assertion.
sasl.oauthbearer.assertion.private.key.file | string | ~ | * | read-only | no | File with the key that signs OAuth assertions.
sasl.oauthbearer.assertion.private.key.passphrase | password | ~ | * | read-only | no | Passphrase of the key that signs OAuth assertions.
sasl.oauthbearer.assertion.template.file | string | ~ | * | read-only | no | File with header and claims of OAuth assertions.
sasl.oauthbearer.client.credentials.client.id | string | ~ | * | read-only | no | Client id at the OAuth provider.
sasl.oauthbearer.client.credentials.client.secret | password | ~ | * | read-only | no | Client secret at the OAuth provider.
sasl.oauthbearer.clock.skew.seconds | int | 30 | * | read-only | no | Difference of clocks that is tolerated in OAuth tokens.
sasl.oauthbearer.expected.audience | list |  | * | read-only | no | Audiences that an OAuth token may name.
sasl.oauthbearer.expected.issuer | string | ~ | * | read-only | no | Issuer that an OAuth token must name.
sasl.oauthbearer.jwks.endpoint.refresh.ms | long | 3600000 | * | read-only | no | Time between two fetches of the OAuth provider's keys.
sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms | long | 10000 | * | read-only | no | Longest wait before the OAuth provider's keys are fetched again.
sasl.oauthbearer.jwks.endpoint.retry.backoff.ms | long | 100 | * | read-only | no | First wait before the OAuth provider's keys are fetched again.
sasl.oauthbearer.jwks.endpoint.url | string | ~ | * | read-only | no | Where the OAuth provider's keys are found.
sasl.oauthbearer.jwt.retriever.class | class | org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever | * | read-only | no | Class that fetches OAuth tokens.
sasl.oauthbearer.jwt.validator.class | class | org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator | * | read-only | no | Class that checks OAuth tokens.
sasl.oauthbearer.scope | string | ~ | * | read-only | no | Scope that is asked of the OAuth provider.
sasl.oauthbearer.scope.claim.name | string | scope | * | read-only | no | Name of the scope claim.
sasl.oauthbearer.sub.claim.name | string | sub | * | read-only | no | Name of the subject claim.
sasl.oauthbearer.token.endpoint.url | string | ~ | * | read-only | no | Where the OAuth provider gives out tokens.
sasl.server.callback.handler.class | class | ~ | * | read-only | no | Class that answers SASL callbacks of a server.
sasl.server.max.receive.size | int | 524288 | * | read-only | no | Largest SASL message that is accepted before authentication.
security.inter.broker.protocol | string | PLAINTEXT | PLAINTEXT,SSL,SASL_PLAINTEXT,SASL_SSL | read-only | no | Security protocol between brokers.
security.providers | string | ~ | * | read-only | no | Classes that provide security algorithms.
ssl.allow.dn.changes | boolean | false | * | read-only | no | Whether a new certificate may have another distinguished name.
ssl.allow.san.changes | boolean | false | * | read-only | no | Whether a new certificate may have other alternative names.
ssl.cipher.suites | list |  | * | per-broker | no | Cipher suites of TLS; empty the platform's.
ssl.client.auth | string | none | required,requested,none | per-broker | no | Whether clients must show a certificate.
ssl.enabled.protocols | list | TLSv1.2,TLSv1.3 | * | per-broker | no | TLS versions that are accepted.
ssl.endpoint.identification.algorithm | string | https | * | per-broker | no | How a server's name is checked; empty not at all.
ssl.engine.factory.class | class | ~ | * | per-broker | no | Class that makes TLS engines.
ssl.key.password | password | ~ | * | per-broker | no | Password of the private key.
ssl.keymanager.algorithm | string | SunX509 | * | per-broker | no | Algorithm of the key manager.
ssl.keystore.certificate.chain | password | ~ | * | per-broker | no | Certificate chain of this broker, in PEM.
ssl.keystore.key | password | ~ | * | per-broker | no | Private key of this broker, in PEM.
ssl.keystore.location | string | ~ | * | per-broker | no | File with certificate and private key.
ssl.keystore.password | password | ~ | * | per-broker | no | Password of the key store.
ssl.keystore.type | string | JKS | * | per-broker | no | Format of the key store.
ssl.principal.mapping.rules | string | DEFAULT | * | read-only | no | Rules that turn distinguished names into principals.
ssl.protocol | string | TLSv1.3 | * | per-broker | no | TLS version that is preferred.
ssl.provider | string | ~ | * | per-broker | no | Security provider of TLS.
ssl.secure.random.implementation | string | ~ | * | per-broker | no | Source of randomness of TLS.
ssl.trustmanager.algorithm | string | PKIX | * | per-broker | no | Algorithm of the trust manager.
ssl.truststore.certificates | password | ~ | * | per-broker | no | Certificates that are trusted, in PEM.
ssl.truststore.location | string | ~ | * | per-broker | no | File with certificates that are trusted.
ssl.truststore.password | password | ~ | * | per-broker | no | Password of the trust store.
ssl.truststore.type | string | JKS | * | per-broker | no | Format of the trust store.
`;
