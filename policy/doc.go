// Package policy decides who may do what, by oslo.policy's rules: a service registers a [Default] for every operation,
// operators override them in a policy file, and [Enforcer.Authorize] is asked before the operation.
//
//	enforcer, err := policy.Load(policy.Config{File: "/etc/shop/policy.yaml", Defaults: defaults})
//	...
//	err = enforcer.Authorize(ctx, "orders:delete", policy.Target{"project_id": order.ProjectID}) // nil, or a 403
//
// # The language
//
//	role:admin                      one of the caller's roles, in whatever case
//	rule:admin_or_owner             another rule
//	project_id:%(project_id)s       a credential is equal to what the target has under that name
//	user.domain.id:%(domain_id)s    credentials can be nested; of a list, one element is enough
//	is_admin:True                   or to a constant; values are compared as Python writes them
//	'member':%(role)s               a literal, which is equal to what the target has
//	@  !                            everybody, nobody; an empty rule is everybody too
//	not A, A and B, A or B, (A)     binding in this order
//	[["role:a", "role:b"], "@"]     the old form: any of the lists, all of each
//
// It means what it means to oslo.policy, except where oslo.policy would answer requests with an internal error, or would
// let an unclear rule through: a rule that does not parse, has no value, refers to itself or to a rule that nobody
// defines, and one that asks a remote server (http:, https:), is an error of [Load] that names file and line. A
// credential or target that is missing, or is no scalar, allows nothing.
//
// The package owns rules and their files, and no goroutines: files that changed are read by the call of Authorize that
// notices.
package policy
