/* SPDX-License-Identifier: ISC */
/* ngtcp2_compat.h - one spelling for both generations of ngtcp2
 *
 * 0.12 (Debian 12, Ubuntu 24.04) and 1.x differ in names and in a few
 * arguments.  The rest of the layer uses the qc_ names below and never asks for
 * a version itself.
 */
#ifndef PN_NGTCP2_COMPAT_H
#define PN_NGTCP2_COMPAT_H

#include <ngtcp2/ngtcp2.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define QC_V1 (NGTCP2_VERSION_NUM >= 0x010000)

#if QC_V1
typedef ngtcp2_encryption_level qc_level;
typedef ngtcp2_ccerr qc_close_error;
typedef ngtcp2_connection_id_status_type qc_cid_status;
#define QC_LEVEL_INITIAL	NGTCP2_ENCRYPTION_LEVEL_INITIAL
#define QC_LEVEL_HANDSHAKE	NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE
#define QC_LEVEL_1RTT		NGTCP2_ENCRYPTION_LEVEL_1RTT
#define QC_CC_BBR		NGTCP2_CC_ALGO_BBR
#define qc_tls_handshake_completed	ngtcp2_conn_tls_handshake_completed
#define qc_in_draining(c_)	ngtcp2_conn_in_draining_period(c_)
#define qc_decode_remote_params	ngtcp2_conn_decode_and_set_remote_transport_params
#define qc_shutdown_stream(c_, id_, code_) \
	ngtcp2_conn_shutdown_stream((c_), 0, (id_), (code_))
#define qc_shutdown_stream_read(c_, id_, code_) \
	ngtcp2_conn_shutdown_stream_read((c_), 0, (id_), (code_))
#define qc_shutdown_stream_write(c_, id_, code_) \
	ngtcp2_conn_shutdown_stream_write((c_), 0, (id_), (code_))
#else
typedef ngtcp2_crypto_level qc_level;
typedef ngtcp2_connection_close_error qc_close_error;
typedef int qc_cid_status;
#define QC_LEVEL_INITIAL	NGTCP2_CRYPTO_LEVEL_INITIAL
#define QC_LEVEL_HANDSHAKE	NGTCP2_CRYPTO_LEVEL_HANDSHAKE
#define QC_LEVEL_1RTT		NGTCP2_CRYPTO_LEVEL_APPLICATION
#define QC_CC_BBR		NGTCP2_CC_ALGO_BBR2
#define qc_tls_handshake_completed	ngtcp2_conn_handshake_completed
#define qc_in_draining(c_)	ngtcp2_conn_is_in_draining_period(c_)
#define qc_decode_remote_params	ngtcp2_conn_decode_remote_transport_params
#define qc_shutdown_stream	ngtcp2_conn_shutdown_stream
#define qc_shutdown_stream_read	ngtcp2_conn_shutdown_stream_read
#define qc_shutdown_stream_write	ngtcp2_conn_shutdown_stream_write
#endif

/** struct qc_stat - what the layer wants to know of a connection */
struct qc_stat {
	uint64_t rtt_ns;
	uint64_t cwnd;
	uint64_t in_flight;
	uint64_t lost_packets;	/* 0 where the library does not count them */
};

static inline void qc_get_stat(ngtcp2_conn *qc, struct qc_stat *st)
{
#if QC_V1
	ngtcp2_conn_info info;

	memset(&info, 0, sizeof(info));
	ngtcp2_conn_get_conn_info(qc, &info);
#if NGTCP2_VERSION_NUM >= 0x011000
	st->lost_packets = info.pkt_lost;
#else
	st->lost_packets = 0;
#endif
#else
	ngtcp2_conn_stat info;

	ngtcp2_conn_get_conn_stat(qc, &info);
	st->lost_packets = 0;
#endif
	st->rtt_ns = info.smoothed_rtt;
	st->cwnd = info.cwnd;
	st->in_flight = info.bytes_in_flight;
}

/** qc_close_app(), _alert(), _lib() - why we close */
static inline void qc_close_app(qc_close_error *e, uint64_t code)
{
#if QC_V1
	ngtcp2_ccerr_default(e);
	ngtcp2_ccerr_set_application_error(e, code, NULL, 0);
#else
	ngtcp2_connection_close_error_default(e);
	ngtcp2_connection_close_error_set_application_error(e, code, NULL, 0);
#endif
}

static inline void qc_close_alert(qc_close_error *e, uint8_t alert)
{
#if QC_V1
	ngtcp2_ccerr_default(e);
	ngtcp2_ccerr_set_tls_alert(e, alert, NULL, 0);
#else
	ngtcp2_connection_close_error_default(e);
	ngtcp2_connection_close_error_set_transport_error_tls_alert(e, alert, NULL, 0);
#endif
}

static inline void qc_close_lib(qc_close_error *e, int liberr)
{
#if QC_V1
	ngtcp2_ccerr_default(e);
	ngtcp2_ccerr_set_liberr(e, liberr, NULL, 0);
#else
	ngtcp2_connection_close_error_default(e);
	ngtcp2_connection_close_error_set_transport_error_liberr(e, liberr, NULL, 0);
#endif
}

/** qc_remote_close() - the code the peer closed with
 *  @app: true for an application code, false for one of QUIC or TLS */
static inline uint64_t qc_remote_close(ngtcp2_conn *qc, int *app)
{
#if QC_V1
	const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(qc);

	*app = e->type == NGTCP2_CCERR_TYPE_APPLICATION;
	return e->error_code;
#else
	qc_close_error e;

	memset(&e, 0, sizeof(e));
	ngtcp2_conn_get_connection_close_error(qc, &e);
	*app = e.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
	return e.error_code;
#endif
}

/** qc_set_token() - the Retry token a client showed; borrowed for the call that
 *  makes the connection */
static inline void qc_set_token(ngtcp2_settings *s, const uint8_t *token, size_t len)
{
#if QC_V1
	s->token = token;
	s->tokenlen = len;
	s->token_type = NGTCP2_TOKEN_TYPE_RETRY;
#else
	s->token.base = (uint8_t *)(uintptr_t)token;
	s->token.len = len;
#endif
}

/** qc_hd_token() - the token in a decoded Initial */
static inline const uint8_t *qc_hd_token(const ngtcp2_pkt_hd *hd, size_t *len)
{
#if QC_V1
	*len = hd->tokenlen;
	return hd->token;
#else
	*len = hd->token.len;
	return hd->token.base;
#endif
}

static inline void qc_set_original_dcid(ngtcp2_transport_params *p, const ngtcp2_cid *cid)
{
	p->original_dcid = *cid;
#if QC_V1
	p->original_dcid_present = 1;
#endif
}

#endif
