/* Every handler of the route table, by plane; and the shapes of what they read. */
#ifndef GATEHOUSE_API_HANDLERS_H
#define GATEHOUSE_API_HANDLERS_H

#include "api/request.h"

/* enrol */
extern const struct shape enrollment_shape, activation_shape;
bool enrollment_admit(struct request *r);
enum http_next enrollment_create(struct request *r);
enum http_next enrollment_activate(struct request *r);

/* device */
extern const struct shape empty_shape;
enum http_next challenge_create(struct request *r);
enum http_next evidence_create(struct request *r);
enum http_next self_show(struct request *r);
enum http_next est_cacerts(struct request *r);
enum http_next est_csrattrs(struct request *r);
enum http_next est_enroll(struct request *r);

/* proxy */
extern const struct shape decisions_shape, result_query_shape;
enum http_next decision_show(struct request *r);
enum http_next decisions_batch(struct request *r);
enum http_next authorize(struct request *r);
extern const struct shape changes_query_shape;
enum http_next changes_stream(struct request *r);

extern const struct shape ssf_create_shape, ssf_update_shape, ssf_query_shape;
extern const struct shape ssf_stream_query_shape, ssf_status_shape, ssf_verify_shape,
    ssf_poll_shape;
enum http_next ssf_stream_create(struct request *r);
enum http_next ssf_stream_show(struct request *r);
enum http_next ssf_stream_update(struct request *r);
enum http_next ssf_stream_replace(struct request *r);
enum http_next ssf_stream_delete(struct request *r);
enum http_next ssf_status_show(struct request *r);
enum http_next ssf_status_update(struct request *r);
enum http_next ssf_verify(struct request *r);
enum http_next ssf_poll(struct request *r);

/* public */
enum http_next ssf_configuration_show(struct request *r);
enum http_next health_show(struct request *r);
enum http_next ready_show(struct request *r);
enum http_next ca_identity_show(struct request *r);
enum http_next ca_access_show(struct request *r);
enum http_next ca_certificate_show(struct request *r);
enum http_next crl_show(struct request *r);
enum http_next jwks_show(struct request *r);
enum http_next ocsp_post(struct request *r);
enum http_next ocsp_get(struct request *r);

/* admin */
extern const struct shape page_shape, reason_shape;
extern const struct shape model_create_shape, model_update_shape;
enum http_next model_list(struct request *r);
enum http_next model_create(struct request *r);
enum http_next model_show(struct request *r);
enum http_next model_update(struct request *r);
enum http_next model_delete(struct request *r);
extern const struct shape anchors_shape;
enum http_next ek_trust_list(struct request *r);
enum http_next ek_trust_add(struct request *r);
enum http_next ek_trust_remove(struct request *r);
enum http_next idevid_trust_list(struct request *r);
enum http_next idevid_trust_add(struct request *r);
enum http_next idevid_trust_remove(struct request *r);
enum http_next baseline_list(struct request *r);
enum http_next baseline_create(struct request *r);
enum http_next baseline_show(struct request *r);
extern const struct shape proposal_shape;
enum http_next proposal_create(struct request *r);
enum http_next model_drift(struct request *r);
enum http_next device_drift(struct request *r);
enum http_next device_facts(struct request *r);
enum http_next baseline_update(struct request *r);
enum http_next baseline_delete(struct request *r);
enum http_next baseline_submit(struct request *r);
enum http_next baseline_withdraw(struct request *r);
enum http_next baseline_approve(struct request *r);
enum http_next baseline_reject(struct request *r);
extern const struct shape baseline_end_shape;
extern const struct shape baseline_activate_shape, baseline_deprecate_shape, baseline_rollout_shape;
enum http_next baseline_activate(struct request *r);
enum http_next baseline_rollout(struct request *r);
enum http_next baseline_unschedule(struct request *r);
enum http_next baseline_deprecate(struct request *r);
enum http_next baseline_retire(struct request *r);
enum http_next baseline_revoke(struct request *r);
extern const struct shape baseline_signer_shape, baseline_signature_shape;
enum http_next baseline_signer_list(struct request *r);
enum http_next baseline_signer_add(struct request *r);
enum http_next baseline_signer_remove(struct request *r);
enum http_next baseline_signature_list(struct request *r);
enum http_next baseline_signature_add(struct request *r);
extern const struct shape leaked_key_shape, leaked_key_query_shape;
enum http_next leaked_key_list(struct request *r);
enum http_next leaked_key_add(struct request *r);
enum http_next leaked_key_remove(struct request *r);
extern const struct shape device_query_shape, device_update_shape;
extern const struct shape registration_shape, upload_query_shape;
bool device_register_admit(struct request *r);
enum http_next device_register(struct request *r);
enum http_next device_delete(struct request *r);
enum http_next device_list(struct request *r);
enum http_next device_show(struct request *r);
enum http_next device_update(struct request *r);
enum http_next device_approve(struct request *r);
enum http_next device_quarantine(struct request *r);
enum http_next device_release(struct request *r);
enum http_next device_retire(struct request *r);
enum http_next appraisal_list(struct request *r);
enum http_next appraisal_show(struct request *r);
extern const struct shape exception_create_shape, exception_query_shape;
enum http_next exception_list(struct request *r);
enum http_next exception_create(struct request *r);
enum http_next exception_show(struct request *r);
enum http_next exception_approve(struct request *r);
enum http_next exception_end(struct request *r);
extern const struct shape credential_query_shape;
enum http_next credential_list(struct request *r);
enum http_next credential_show(struct request *r);
enum http_next credential_revoke(struct request *r);
extern const struct shape bulk_revocation_shape;
enum http_next credential_revoke_bulk(struct request *r);
extern const struct shape approval_query_shape;
enum http_next approval_list(struct request *r);
enum http_next approval_show(struct request *r);
enum http_next approval_approve(struct request *r);
enum http_next approval_reject(struct request *r);
extern const struct shape operator_create_shape, operator_update_shape, operator_certificate_shape;
enum http_next operator_list(struct request *r);
enum http_next operator_create(struct request *r);
enum http_next operator_show(struct request *r);
enum http_next operator_update(struct request *r);
enum http_next operator_delete(struct request *r);
enum http_next operator_certificate_add(struct request *r);
enum http_next operator_certificate_remove(struct request *r);
extern const struct shape proxy_create_shape, proxy_update_shape;
enum http_next proxy_list(struct request *r);
enum http_next proxy_create(struct request *r);
enum http_next proxy_show(struct request *r);
enum http_next proxy_update(struct request *r);
enum http_next proxy_delete(struct request *r);
extern const struct shape access_policy_create_shape, access_policy_update_shape;
enum http_next access_policy_list(struct request *r);
enum http_next access_policy_create(struct request *r);
enum http_next access_policy_show(struct request *r);
enum http_next access_policy_update(struct request *r);
enum http_next access_policy_delete(struct request *r);
extern const struct shape stream_create_shape, stream_update_shape, stream_status_shape;
extern const struct shape stream_verify_shape;
enum http_next stream_list(struct request *r);
enum http_next stream_show(struct request *r);
enum http_next stream_admin_create(struct request *r);
enum http_next stream_admin_update(struct request *r);
enum http_next stream_admin_delete(struct request *r);
enum http_next stream_admin_status(struct request *r);
enum http_next stream_admin_verify(struct request *r);
extern const struct shape audit_query_shape;
enum http_next audit_list(struct request *r);
extern const struct shape audit_checkpoint_query_shape;
enum http_next audit_checkpoint_list(struct request *r);
extern const struct shape audit_prune_shape;
enum http_next audit_prune(struct request *r);
extern const struct shape preview_shape;
enum http_next baseline_preview(struct request *r);
extern const struct shape reappraisal_query_shape, reappraisal_create_shape;
enum http_next reappraisal_list(struct request *r);
enum http_next reappraisal_create(struct request *r);
enum http_next reappraisal_show(struct request *r);
enum http_next reappraisal_cancel(struct request *r);
enum http_next fleet_show(struct request *r);
enum http_next metrics_show(struct request *r);

#endif
