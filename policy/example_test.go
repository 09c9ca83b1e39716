package policy_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/goslo/goslo/policy"
)

var orders = []policy.Default{
	{Name: "admin_or_owner", Check: "role:admin or project_id:%(project_id)s", Description: "An administrator, or the project that owns the order."},
	{
		Name: "orders:delete", Check: "rule:admin_or_owner", Description: "Delete an order.",
		Operations: []policy.Operation{{Method: "DELETE", Path: "/v1/orders/{id}"}},
	},
}

func ExampleEnforcer_Check() {
	enforcer, err := policy.Load(policy.Config{Defaults: orders})
	if err != nil {
		fmt.Println(err)
		return
	}
	caller := policy.Credentials{"project_id": "p1", "roles": []string{"member"}}
	fmt.Println(enforcer.Check(context.Background(), "orders:delete", caller, policy.Target{"project_id": "p1"}))
	err = enforcer.Check(context.Background(), "orders:delete", caller, policy.Target{"project_id": "p2"})
	if refused, ok := errors.AsType[*policy.NotAuthorizedError](err); ok {
		fmt.Println(refused.HTTPStatus(), refused)
	}
	// Output:
	// <nil>
	// 403 policy does not allow orders:delete
}

func ExampleWriteSample() {
	if err := policy.WriteSample(os.Stdout, orders); err != nil {
		fmt.Println(err)
	}
	// Output:
	// # An administrator, or the project that owns the order.
	// #"admin_or_owner": "role:admin or project_id:%(project_id)s"
	//
	// # Delete an order.
	// # DELETE  /v1/orders/{id}
	// #"orders:delete": "rule:admin_or_owner"
}
