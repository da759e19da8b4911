/** Types of messages that the rules know. Source: Envoy's API v3. */
export const HTTP_CONNECTIONS =
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
export const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'
export const NETWORK_EXT_AUTHZ = 'envoy.extensions.filters.network.ext_authz.v3.ExtAuthz'
export const HTTP_EXT_AUTHZ = 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz'
export const EXT_AUTHZ_PER_ROUTE = 'envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute'
export const ROUTER = 'envoy.extensions.filters.http.router.v3.Router'
export const JWT_AUTHN = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication'
export const FILTER_CONFIG = 'envoy.config.route.v3.FilterConfig'
export const DOWNSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext'
export const UPSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext'
export const DOWNSTREAM_QUIC = 'envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport'
export const UPSTREAM_HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
export const HTTP_GRPC_LOG = 'envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig'
export const TCP_GRPC_LOG = 'envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig'
const RAW_BUFFER = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'
export const isRawBuffer = (type: string): boolean => type === RAW_BUFFER
